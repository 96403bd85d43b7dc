"""Positions of employees: ``get``, ``create``, ``update``, ``delete.employee_positions``."""

from __future__ import annotations

from trunkline.apis.data_api.change_methods import ID, create_method, delete_method, update_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import Params, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.directory.employees import positions

_NAME = override("name", description="Title of the position.")


async def _create(request: RequestContext, params: Params) -> int:
    return await positions.create_position(request.services.db, request.account_id, params["name"])


async def _update(request: RequestContext, params: Params) -> None:
    await positions.rename_position(request.services.db, request.account_id, params["id"], params["name"])


async def _delete(request: RequestContext, params: Params) -> None:
    await positions.delete_position(request.services.db, request.account_id, params["id"])


METHODS = (
    list_method(
        "get.employee_positions",
        "Positions of employees.",
        positions.POSITIONS,
        permissions=(("employees", "select"),),
    ),
    create_method(
        "create.employee_positions",
        "Adds a position.",
        _create,
        params=(_NAME,),
        permissions=(("employees", "insert"),),
    ),
    update_method(
        "update.employee_positions",
        "Renames a position.",
        _update,
        params=(ID, _NAME),
        permissions=(("employees", "update"),),
    ),
    delete_method(
        "delete.employee_positions",
        "Removes a position that nobody has.",
        _delete,
        permissions=(("employees", "delete"),),
    ),
)
