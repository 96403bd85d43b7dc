"""One JSON-RPC 2.0 machine for all APIs that speak it.

``declare`` what a method is, ``call`` what a handler sees, ``params`` checks parameters, ``envelope``
reads requests, ``errors`` knows every error of each API, ``dispatcher`` puts a request through its stages in
order, ``endpoint`` is HTTP, ``request_log`` keeps the report of requests, ``openrpc`` describes it all.
"""

from trunkline.apis.jsonrpc.call import Call, Identity, Result, Services
from trunkline.apis.jsonrpc.declare import (
    ACCESS_TOKEN,
    GET_PARAMS,
    USER_ID,
    Api,
    Component,
    Envelope,
    ErrorSpec,
    Field,
    FieldType,
    Form,
    Method,
    Param,
    Params,
    ParamType,
)

__all__ = [
    "ACCESS_TOKEN",
    "GET_PARAMS",
    "USER_ID",
    "Api",
    "Call",
    "Component",
    "Envelope",
    "ErrorSpec",
    "Field",
    "FieldType",
    "Form",
    "Identity",
    "Method",
    "Param",
    "ParamType",
    "Params",
    "Result",
    "Services",
]
