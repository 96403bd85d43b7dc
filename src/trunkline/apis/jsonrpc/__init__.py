"""One JSON-RPC 2.0 dispatcher for all APIs that use it.

``declare`` has the declaration of a method, ``request_context`` what a handler gets, ``params`` checks parameters,
``envelope`` reads requests, ``errors`` defines the errors of each API, ``dispatcher`` runs the stages of a request in
order, ``http`` is the HTTP endpoint, ``request_log`` stores the requests, ``openrpc`` makes the description.
"""

from trunkline.apis.jsonrpc.declare import (
    ACCESS_TOKEN,
    GET_PARAMS,
    USER_ID,
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
from trunkline.apis.service.request_context import Api, Identity, RequestContext, Result, Services

__all__ = [
    "ACCESS_TOKEN",
    "GET_PARAMS",
    "USER_ID",
    "Api",
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
    "RequestContext",
    "Result",
    "Services",
]
