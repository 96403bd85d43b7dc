"""Who may use a method: the same rule for requests and for streams. Pure."""

from __future__ import annotations

from trunkline.apis.jsonrpc.declare import Method
from trunkline.apis.jsonrpc.errors import rpc_error
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.service.request_context import Api, CallerLike

_OF_CLIENTS = frozenset({"client_selected", "client_user", "client_user_new"})
"""Resources of permissions for methods of agents about their clients."""

_COMPONENT_ERRORS = {Api.CALL: "component_disabled", Api.DATA: "method_component_disabled"}


def check_access(service_spec: ServiceSpec, method: Method, caller: CallerLike) -> None:
    """Whether this user may use this method of this API in this account.

    :raises RpcError: ``forbidden`` (the API, or a permission, with its name in params), ``component_disabled``
        or ``method_component_disabled``.
    """
    _check_api(service_spec, caller)
    check_rights(method, caller)


def check_rights(method: Method, caller: CallerLike) -> None:
    """Whether this user of this account may do what the method does, through whatever interface.

    :raises RpcError: as :func:`check_access`, but for the API.
    """
    _check_components(method, caller)
    _check_permissions(method, caller)


def check_agent(service_spec: ServiceSpec, method: Method, agent: CallerLike) -> None:
    """Whether the user of an agent may use this method on behalf of a client, in addition to the client's own rights.

    Components are those of the client's account.

    :raises RpcError: ``forbidden``.
    """
    _check_api(service_spec, agent)
    _check_permissions(method, agent)


def concerns_clients(method: Method, caller: CallerLike) -> bool:
    """Whether the method works with the customer accounts of a partner account."""
    return caller.is_agent and any(resource in _OF_CLIENTS for resource, _ in method.permissions)


def _check_api(service_spec: ServiceSpec, caller: CallerLike) -> None:
    if not service_spec.admits(caller):
        raise rpc_error(
            service_spec.api,
            "forbidden",
            remedy="The user may not use this API; the administrator of the installation allows it:"
            f" trunkline user apis --user {caller.login}"
            f" {_apis_with(service_spec.api, caller)} --account {caller.account_id}",
        )


def _check_components(method: Method, caller: CallerLike) -> None:
    wanted = method.components
    if wanted and not any(component.name in caller.components for component in wanted):
        titles = ", ".join(component.title for component in wanted)
        place = "component_name" if method.api is Api.CALL else "components"
        raise rpc_error(
            method.api,
            _COMPONENT_ERRORS[method.api],
            method=method,
            params={place: titles},
            remedy=f"The administrator of the installation enables it: trunkline account component {wanted[0].name} on"
            f" --account {caller.account_id}",
        )


def _check_permissions(method: Method, caller: CallerLike) -> None:
    for resource, action in method.permissions:
        if not caller.may(resource, action):
            raise rpc_error(
                method.api,
                "forbidden",
                params={"resource": resource, "action": action},
                remedy="The administrator of the installation grants the permission:"
                f" trunkline user permit --user {caller.login}"
                f" {resource} {action} --account {caller.account_id}",
            )


def _apis_with(api: Api, caller: CallerLike) -> str:
    """The APIs that the user has, and this one, as arguments of a command."""
    has = {Api.CALL: caller.call_api_enabled, Api.DATA: caller.data_api_enabled}
    return " ".join(one.value for one in Api if has[one] or one is api)
