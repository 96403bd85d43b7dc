"""The five operations that resources have: list, create, read, change, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.apis.call_center.declaration import (
    LIMIT,
    OFFSET,
    Answer,
    Arguments,
    Body,
    Field,
    Handler,
    Operation,
    Pages,
    identifier,
    record,
    records,
)
from trunkline.apis.service.workloads import Workload


@dataclass(frozen=True, slots=True)
class Handlers:
    """Of the five operations."""

    list: Handler
    create: Handler
    read: Handler
    update: Handler
    delete: Handler


def record_operations(
    path: str,
    noun: str,
    fields: tuple[Field, ...],
    module: str,
    handlers: Handlers,
    *,
    query: tuple[Field, ...],
    listed: str = "",
    list_answer: Answer | None = None,
    deleted: str = "",
    delete_workload: Workload = Workload.CHANGE,
) -> tuple[Operation, ...]:
    """Declare them.

    :param noun: what a record is, such as ``phone list``.
    :param module: whose permissions they need.
    :param query: filters of the list, besides those of pages.
    :param listed, deleted: what the summary adds.
    """
    one = f"{path}/{{id}}"
    path_fields = (identifier("id", f"Number of the {noun}.", required=True),)
    answer = record(*fields)
    return (
        Operation(
            "GET", path, f"All {noun}s, by id.{listed}", handlers.list, (module, "select"),
            query=(*query, LIMIT, OFFSET), answer=list_answer or records(*fields),
        ),
        Operation(
            "POST", path, f"Creates a {noun}.", handlers.create, (module, "insert"),
            body=Body(fields), answer=answer, workload=Workload.CHANGE,
        ),
        Operation(
            "GET", one, f"One {noun}.", handlers.read, (module, "select"), path_fields=path_fields, answer=answer,
        ),
        Operation(
            "PUT", one, f"Changes a {noun}; what is left out stays.", handlers.update, (module, "update"),
            path_fields=path_fields, body=Body(fields, partial=True), answer=answer, workload=Workload.CHANGE,
        ),
        Operation(
            "DELETE", one, f"Deletes a {noun}{deleted}.", handlers.delete, (module, "delete"),
            path_fields=path_fields, workload=delete_workload,
        ),
    )  # fmt: skip


def by_id(args: Arguments, read: Callable[..., Awaitable[list[Mapping[str, Any]]]]) -> Pages:
    """A list by id, page by page.

    :param read: with ``after``, ``limit`` and ``offset``.
    """

    async def page(last: Mapping[str, Any] | None, size: int) -> list[Mapping[str, Any]]:
        offset = (args.query.get("offset") or 0) if last is None else 0
        return await read(after=-1 if last is None else last["id"], limit=size, offset=offset)

    return Pages(page, args.query.get("limit"))
