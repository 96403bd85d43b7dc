"""One JSON-RPC 2.0 dispatcher for all APIs that use it.

====================  =======================================================================================
``http``              the HTTP endpoint
``dispatcher``        the stages of a request, in order
``envelope``          parses the body of a request
``service_spec``      one API in one version, and its methods
``declare``           the declaration of a method
``derive``            parameters and results from the pages of the reference
``access``            who may use a method
``params``            checks the parameters of a request
``response``          puts a result or an error into the JSON of a response
``chunks``            JSON that is made already, in pieces
``errors``            the errors of each API
``openrpc``           the OpenRPC document of an API
====================  =======================================================================================

What a handler gets, the log of requests and the shares of an account are in :mod:`trunkline.apis.service`.
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
