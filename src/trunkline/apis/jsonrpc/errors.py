"""Every error of each API with its exact code, mnemonic and text, and how our own errors become one of them.

The lists are package data taken from the reference (``contract/common_errors.json``); the two APIs
differ in texts and in some mnemonics. A method's own page goes before the lists, and the list of its verb
(``get``, ``delete``, change) before the common one: the same mnemonic may have another code there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from trunkline.apis.jsonrpc.declare import ErrorSpec, Method
from trunkline.apis.service.request_context import Api
from trunkline.contract import load_common_errors
from trunkline.core.errors import Refused, TrunklineError

_VERB_LISTS = {
    "get": ("get",),
    "getobj": ("get",),
    "delete": ("delete",),
    "create": ("change",),
    "update": ("change",),
    "set": ("change",),
    "unset": ("change",),
    "enable": ("change",),
    "disable": ("change",),
    "upload": ("change",),
}

_BORROWED = {
    # Pages of the Call API use this error, only the other API's list has it.
    Api.CALL: (
        ErrorSpec(-32602, "invalid_parameters_combination", "The combination of parameters is not permitted"),
    ),
    Api.DATA: (),
}

SILENT = frozenset(
    {
        "parse_error",
        "invalid_request",
        "batch_operations_not_supported",
        "notifications_not_supported",
        "method_not_found",
        "access_token_blocked",
        "access_token_invalid",
        "access_token_expired",
        "auth_error",
        "ip_not_whitelisted",
    }
)
"""Errors without limits in the metadata and without a row in the request log."""


_LOGIN_REMEDY = "Check login and password; after several failures wait a minute. A key needs no log-in."
"""The same for an unknown login, a wrong password and too many failures."""


REMEDIES: Mapping[str, str] = {
    "parse_error": "Send one JSON value in UTF-8 in which no object has a name twice.",
    "invalid_request": 'Send one object: {"jsonrpc": "2.0", "id": 1, "method": "get.account", "params": {}}.'
    " The id is a string or a number, and params is an object; field names the member at fault.",
    "batch_operations_not_supported": "Send each request in an HTTP request of its own, as an object and not as an array.",
    "notifications_not_supported": "Send an id with each request.",
    "character_encoding_not_allowed": "Send the request in UTF-8.",
    "internal_error": "Try again later; if it fails again, send the incident id to the administrator of the installation.",
    "forbidden": "Send this with a key or login that may do it.",
    "required_parameter_missed": "Send the parameter that field names.",
    "data_type_error": "Send a value of the type that the method's page names.",
    "invalid_parameter_value": "Send a value that the method's page allows.",
    "limit_exceeded": "Wait until others have ended, or ask the administrator of the installation for a higher limit.",
}
"""What to do about an error where nothing more is known of its cause."""


@dataclasses.dataclass(eq=False)
class RpcError(Exception):
    """An error in the form of the wire, all but the metadata.

    :param field: dotted name of the parameter at fault.
    :param value: what the client sent there, unchanged.
    :param params: values for the placeholders of the text.
    """

    code: int
    mnemonic: str
    message: str
    field: str | None = None
    value: Any = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extended_helper: str | None = None

    def as_json(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The ``error`` member of an answer."""
        return {
            "code": self.code,
            "message": self.message,
            "data": {
                "mnemonic": self.mnemonic,
                "field": self.field,
                "value": self.value,
                "params": dict(self.params),
                "extended_helper": self.extended_helper,
                "metadata": dict(metadata),
            },
        }


@cache
def common_errors(api: Api, verb: str | None = None) -> Mapping[str, ErrorSpec]:
    """Errors by mnemonic that any method (with that verb) of the API may answer."""
    lists = load_common_errors()[api]
    specs: dict[str, ErrorSpec] = {}
    for name in (*_VERB_LISTS.get(verb or "", ()), "common"):
        for row in lists.get(name, ()):
            specs.setdefault(row["mnemonic"], ErrorSpec(row["code"], row["mnemonic"], row["message"]))
    for spec in _BORROWED[api]:
        specs.setdefault(spec.mnemonic, spec)
    return specs


def find_spec(api: Api, method: Method | None, mnemonic: str) -> ErrorSpec | None:
    """The error of that name for this method; None when neither its page nor the lists have it."""
    if method is not None:
        for spec in method.errors:
            if spec.mnemonic == mnemonic:
                return spec
    return common_errors(api, method.verb if method else None).get(mnemonic)


def rpc_error(
    api: Api,
    mnemonic: str,
    *,
    method: Method | None = None,
    field: str | None = None,
    value: Any = None,
    params: Mapping[str, Any] | None = None,
    remedy: str | None = None,
) -> RpcError:
    """The API's error of that name.

    :param remedy: what the client or the operator can do about it (``extended_helper``).
    :raises KeyError: the API has no such error (a fault of the server, never of a client).
    """
    spec = find_spec(api, method, mnemonic)
    if spec is None:
        raise KeyError(f"{api} has no error {mnemonic}")
    return RpcError(
        spec.code,
        mnemonic,
        fill(spec.message, params or {}),
        field,
        value,
        params or {},
        remedy or REMEDIES.get(mnemonic),
    )


def translate(error: TrunklineError, api: Api, method: Method | None) -> RpcError | None:
    """The error that a client gets for an error raised on purpose.

    None when the API has no such error for this method: the caller answers ``internal_error`` and logs.
    """
    if find_spec(api, method, error.mnemonic) is None:
        return None
    value = None if _is_secret(method, error.field) else error.value
    remedy = error.message if isinstance(error, Refused) else None
    if error.mnemonic == "auth_error":
        remedy = _LOGIN_REMEDY
    return rpc_error(
        api, error.mnemonic, method=method, field=error.field, value=value, params=error.params, remedy=remedy
    )


def fill(template: str, params: Mapping[str, Any]) -> str:
    """A text with its ``{name}`` places filled; a place without a value keeps its name.

    Not ``str.format``: values come from clients and must not be templates.
    """
    return re.sub(r"\{(\w+)\}", lambda place: str(params.get(place[1], place[0])), template)


def _is_secret(method: Method | None, field_name: str | None) -> bool:
    return method is not None and any(p.secret and p.name == field_name for p in method.params)
