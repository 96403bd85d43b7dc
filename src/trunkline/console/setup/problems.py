"""An error of a method, beside the field that it is about, in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trunkline.apis.jsonrpc.declare import Param, ParamType
from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.console.languages import translatable
from trunkline.core.errors import Duplicate, InUse, NotFound, TrunklineError

_ = translatable

EMPTY = _("Fill this in.")

_WRONG_VALUE = frozenset({"invalid_parameter_value", "data_type_error"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a form.

    :ivar control: name of the control; empty: the form as a whole.
    :ivar text: one of our texts, which is translated.
    :ivar values: in the text.
    :ivar detail: more of it, in English; empty: none.
    """

    control: str
    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""

    @property
    def sentence(self) -> tuple[str, Mapping[str, str]]:
        """For the filter ``filled``."""
        return self.text, self.values


def problem_of(
    error: RpcError | TrunklineError, names: Iterable[str], params: Iterable[Param] = ()
) -> Problem:
    """What a page shows of an error.

    :param names: of the controls.
    :param params: of the method.
    """
    control = _control(error.field, frozenset(names))
    if isinstance(error, RpcError):
        return _of_parameter(error, control, params)
    if isinstance(error, NotFound) and control:
        return Problem(control, _("This does not exist any more: choose another."), detail=error.message)
    if isinstance(error, Duplicate) or error.mnemonic == "already_in_use":
        return Problem(control, _("Another one has this already."), detail=error.message)
    if isinstance(error, InUse):
        return Problem(control, _("Something else still uses this."), detail=error.message)
    return Problem(control, _("This cannot be used."), detail=error.message)


def _control(dotted: str | None, names: frozenset[str]) -> str:
    """The control of a field (``extension.extension_phone_number``): of the whole name, or the first part that has one."""
    if not dotted:
        return ""
    return next((one for one in (dotted, *dotted.split(".")) if one in names), "")


def _of_parameter(error: RpcError, control: str, params: Iterable[Param]) -> Problem:
    if error.mnemonic == "required_parameter_missed":
        return Problem(control, EMPTY)
    if error.mnemonic not in _WRONG_VALUE:
        return Problem(control, _("This cannot be used."), detail=error.extended_helper or error.message)
    if error.value in (None, "", []):
        return Problem(control, EMPTY)
    param = next((one for one in params if one.name == (error.field or "").partition(".")[0]), None)
    if param is None or "." in (error.field or ""):
        return Problem(control, _("This cannot be used."), detail=error.extended_helper or "")
    low, high = str(param.minimum), str(param.maximum)
    if param.type is ParamType.NUMBER:
        if param.minimum is None or param.maximum is None:
            return Problem(control, _("Write a whole number."))
        return Problem(
            control, _("Write a whole number from %(low)s to %(high)s."), {"low": low, "high": high}
        )
    if param.maximum is not None and isinstance(error.value, str) and len(error.value) > param.maximum:
        return Problem(control, _("At most %(high)s characters."), {"high": high})
    if param.minimum is not None and isinstance(error.value, str) and len(error.value) < param.minimum:
        return Problem(control, _("At least %(low)s characters."), {"low": low})
    return Problem(control, _("This cannot be used."), detail=error.extended_helper or "")
