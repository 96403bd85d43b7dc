"""Who may use a method: the same rule for requests and for streams. Pure."""

from __future__ import annotations

from trunkline.apis.jsonrpc.call import CallerLike
from trunkline.apis.jsonrpc.declare import Api, Method
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.apis.jsonrpc.surface import Surface

_COMPONENT_ERRORS = {Api.CALL: "component_disabled", Api.DATA: "method_component_disabled"}


def check_access(surface: Surface, method: Method, caller: CallerLike) -> None:
    """Whether this user may use this method of this API.

    :raises RpcError: ``forbidden`` (the API, or a permission, with its name in params), ``component_disabled``
        or ``method_component_disabled``.
    """
    if not surface.admits(caller):
        raise rpc_error(method.api, "forbidden")
    wanted = method.components
    if wanted and not any(component.name in caller.components for component in wanted):
        titles = ", ".join(component.title for component in wanted)
        place = "component_name" if method.api is Api.CALL else "components"
        raise rpc_error(method.api, _COMPONENT_ERRORS[method.api], method=method, params={place: titles})
    for resource, action in method.permissions:
        if not caller.may(resource, action):
            raise rpc_error(method.api, "forbidden", params={"resource": resource, "action": action})
