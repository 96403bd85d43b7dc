"""Checks the parameters of a request against the method's declaration. Pure.

The order in which faults are found is fixed, so that clients and tests can rely on it: names that the
method does not have (all of them at once), then each declared parameter in order: missing, of the wrong
type, a value not allowed. Members of an object are checked in the same way, with dotted names
(``employee.id``).

- A number may come as its numeric string (``"12"``); text never as a number, booleans never as text.
- ``null`` for a required parameter is a missing one, for others it means "not sent", unless the
  declaration defines a meaning of ``null``.
- Text may not hold the NUL character, which PostgreSQL cannot keep.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any, NoReturn

from trunkline.apis.jsonrpc.declare import Method, Param, Params, ParamType
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.db.query import FORMATS, is_moment
from trunkline.db.query.close_names import close_names, shown_names

_INTEGER = re.compile(r"-?[0-9]{1,19}\Z", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_BIGINT = 2**63

_DROP = object()

_COMPARED = 10
"""Unknown names that are compared with the known ones: each comparison costs time."""


class ParamChecker:
    """Checks one request; holds what an error must name.

    :raises RpcError: from :meth:`check`: ``unexpected_parameters``, ``required_parameter_missed``,
        ``data_type_error``, ``invalid_parameter_value``.
    """

    def __init__(self, method: Method) -> None:
        self._method = method

    def check(self, sent: Params) -> dict[str, Any]:
        """The parameters as the handler gets them."""
        form = self._method.form_of(sent)
        if form is None:
            return self._object(self._method.params, sent, "")
        return dict(form.rewrite(self._object(form.params, sent, "")))

    def check_token(self, sent: Params) -> str:
        """The access token alone: it is looked at before all other parameters."""
        param = next(p for p in self._method.params if p.name == "access_token")
        token: str = self._required(param, sent.get("access_token"), "access_token")
        return token

    def _object(self, params: tuple[Param, ...], sent: Params, prefix: str) -> dict[str, Any]:
        self._refuse_unknown(params, sent, prefix)
        checked = {}
        for param in params:
            value = self._param(param, sent, prefix)
            if value is not _DROP:
                checked[param.name] = value
        return checked

    def _refuse_unknown(self, params: tuple[Param, ...], sent: Params, prefix: str) -> None:
        known = {param.name for param in params}
        unknown = shown_names(sorted(prefix + name for name in sent if name not in known))
        if unknown:
            self._fail(
                "unexpected_parameters",
                ", ".join(unknown),
                None,
                {"parameters": unknown},
                remedy=_known(prefix, known, unknown),
            )

    def _param(self, param: Param, sent: Params, prefix: str) -> Any:
        name = prefix + param.name
        value = sent.get(param.name)
        if value is None and param.nullable and param.name in sent:
            return None
        if param.required and not any(sent.get(other) is not None for other in param.unless):
            return self._required(param, value, name)
        if value is None:
            return _DROP if param.default is None else param.default
        return self._value(param, value, name)

    def _required(self, param: Param, value: Any, name: str) -> Any:
        if value is None:
            self._fail("required_parameter_missed", name, remedy=f"Send {name}. {expected(param)}")
        return self._value(param, value, name)

    def _value(self, param: Param, value: Any, name: str) -> Any:
        checked: Any = _CHECKS[param.type](self, param, value, name)
        if param.convert is not None:
            checked = param.convert(checked)
            if checked is None:
                self._invalid(param, name, value)
        return checked

    def _text(self, param: Param, value: Any, name: str) -> str:
        if not isinstance(value, str):
            self._wrong_type(param, name, value)
        if (
            "\0" in value
            or (param.required and not param.blank and not value.strip())
            or (param.minimum is not None and len(value) < param.minimum)
            or (param.maximum is not None and len(value) > param.maximum)
            or (param.pattern is not None and not re.fullmatch(param.pattern, value))
        ):
            self._invalid(param, name, value)
        return value

    def _enum(self, param: Param, value: Any, name: str) -> str:
        text = self._text(param, value, name)
        if param.enum and text not in param.enum:
            self._invalid(param, name, value)
        return text

    def _moment(self, param: Param, value: Any, name: str) -> str:
        text = self._text(param, value, name)
        if not is_date_time(text):
            self._invalid(param, name, value)
        return text

    def _number(self, param: Param, value: Any, name: str) -> int | float:
        number = to_number(value, fractional=param.fractional)
        if number is None:
            self._wrong_type(param, name, value)
        if (
            abs(number) >= _BIGINT
            or (param.minimum is not None and number < param.minimum)
            or (param.maximum is not None and number > param.maximum)
        ):
            self._invalid(param, name, value)
        return number

    def _boolean(self, param: Param, value: Any, name: str) -> bool:
        if not isinstance(value, bool):
            self._wrong_type(param, name, value)
        return value

    def _array(self, param: Param, value: Any, name: str) -> list[Any]:
        if not isinstance(value, list):
            self._wrong_type(param, name, value)
        if param.maximum is not None and len(value) > param.maximum:
            self._invalid(param, name, value)
        if param.params:
            return [self._item_object(param, item, name) for item in value]
        if param.items is not None:
            item_param = _item_of(param.name, param.items, param.enum)
            return [self._value(item_param, item, name) for item in value]
        return value

    def _item_object(self, param: Param, item: Any, name: str) -> dict[str, Any]:
        if not isinstance(item, dict):
            self._wrong_type(param, name, item)
        return self._object(param.params, item, f"{name}.")

    def _dict(self, param: Param, value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._wrong_type(param, name, value)
        return self._object(param.params, value, f"{name}.") if param.params else value

    def _wrong_type(self, param: Param, name: str, value: Any) -> NoReturn:
        self._fail("data_type_error", name, None if param.secret else value, remedy=expected(param))

    def _invalid(self, param: Param, name: str, value: Any) -> NoReturn:
        self._fail("invalid_parameter_value", name, None if param.secret else value, remedy=expected(param))

    def _fail(
        self,
        mnemonic: str,
        field: str,
        value: Any = None,
        params: dict[str, Any] | None = None,
        *,
        remedy: str | None = None,
    ) -> NoReturn:
        raise rpc_error(
            self._method.api,
            mnemonic,
            method=self._method,
            field=field,
            value=value,
            params=params,
            remedy=remedy,
        )


_CHECKS = {
    ParamType.STRING: ParamChecker._enum,
    ParamType.ENUM: ParamChecker._enum,
    ParamType.ISO8601: ParamChecker._moment,
    ParamType.NUMBER: ParamChecker._number,
    ParamType.BOOLEAN: ParamChecker._boolean,
    ParamType.ARRAY: ParamChecker._array,
    ParamType.OBJECT: ParamChecker._dict,
}


@cache
def _item_of(name: str, type_: ParamType, enum: tuple[str, ...]) -> Param:
    """An item of a declared array."""
    return Param(name, type_, enum=enum)


def to_number(value: Any, *, fractional: bool = False) -> int | float | None:
    """A number from JSON or from its numeric string; None when it is not a number, or not whole where required."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if value.is_integer():
            return int(value)
        return value if fractional else None
    if isinstance(value, str):
        if _INTEGER.match(value):
            return int(value)
        if fractional and _DECIMAL.match(value):
            return float(value)
    return None


def expected(param: Param) -> str:
    """What a parameter takes, in one or two sentences, for the remedy of an error."""
    parts = [_kind(param)]
    if param.enum:
        parts.append(f"one of {', '.join(param.enum)}")
    length = (
        "" if param.type is ParamType.NUMBER else " items" if param.type is ParamType.ARRAY else " characters"
    )
    for word, bound in (("at least", param.minimum), ("at most", param.maximum)):
        if bound is not None:
            parts.append(
                f"{word} {bound:g}{length}" if isinstance(bound, float) else f"{word} {bound}{length}"
            )
    text = f"{', '.join(parts)}."
    return f"{text} {param.description}" if param.description else text


def _kind(param: Param) -> str:
    match param.type:
        case ParamType.ISO8601:
            return f"A time: {FORMATS}"
        case ParamType.NUMBER:
            return "A number" if param.fractional else "A whole number"
        case ParamType.BOOLEAN:
            return "true or false, without quotes"
        case ParamType.ARRAY:
            return "An array"
        case ParamType.OBJECT:
            return "An object"
    return "A string"


def _known(prefix: str, known: set[str], unknown: list[str]) -> str:
    """The closest known name of each of the first unknown ones, and all known names."""
    names = sorted(known - {"access_token"}) or sorted(known)
    close = [
        f"{name} may be {prefix}{found[0]}"
        for name in unknown[:_COMPARED]
        if (found := close_names(name.removeprefix(prefix), names, 1))
    ]
    place = f" of {prefix.rstrip('.')}" if prefix else ""
    return f"{'; '.join(close)}{'. ' if close else ''}Known parameters{place}: {', '.join(names)}."


def is_date_time(text: str) -> bool:
    """Whether the text is a date, or a time in one of the forms of the APIs (:data:`FORMATS`), that exists."""
    if not _DATE.match(text):
        return is_moment(text)
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def masked(method: Method, sent: Params) -> dict[str, Any]:
    """The parameters as they may be written down: secrets replaced by stars."""
    secrets = secret_names(method.params)
    return {name: "***" if name in secrets else value for name, value in sent.items()}


def secret_names(params: Iterable[Param]) -> frozenset[str]:
    """Top-level names that must not be shown, always with the usual ones."""
    return frozenset(p.name for p in params if p.secret) | {"access_token", "password"}
