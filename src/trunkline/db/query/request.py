"""What a list request asks: its fields, filter, order and page, checked against a :class:`Listing`. Pure.

Limits: ``limit`` is 1000 by default, at most 10 000; ``offset`` is 0 by default, at most 100 000.

Errors: ``unexpected_parameters`` (no such field, no such key in a sort object), ``sort_prohibited``,
``data_type_error``, ``invalid_parameter_value``, ``required_parameter_missed`` and those of
:mod:`trunkline.db.query.filters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.core.errors import InvalidInput
from trunkline.db.query.close_names import NAME_LENGTH, field_remedy, shown_names
from trunkline.db.query.columns import Column, Listing
from trunkline.db.query.filters import Node, known_column, parse_filter

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
MAX_OFFSET = 100_000
MAX_SORT_KEYS = 20


@dataclass(frozen=True, slots=True)
class SortKey:
    column: Column
    descending: bool = False


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A checked request. ``fields`` are names of columns, in the order asked for."""

    fields: tuple[str, ...]
    filter: Node | None
    sort: tuple[SortKey, ...]
    limit: int
    offset: int


def parse_request(params: Mapping[str, Any], listing: Listing, zone: ZoneInfo) -> ListRequest:
    """Check ``fields``, ``filter``, ``sort``, ``limit``, ``offset`` of ``params``, no other keys.

    :param zone: the account's zone, in which times of filters are written.
    """
    return ListRequest(
        fields=_fields(params.get("fields"), listing),
        filter=None if params.get("filter") is None else parse_filter(params["filter"], listing, zone),
        sort=_sort(params.get("sort"), listing),
        limit=_bounded(params.get("limit"), "limit", DEFAULT_LIMIT, MAX_LIMIT),
        offset=_bounded(params.get("offset"), "offset", 0, MAX_OFFSET),
    )


def _fields(raw: Any, listing: Listing) -> tuple[str, ...]:
    if not raw and (raw is None or isinstance(raw, list)):
        return listing.default_fields
    if not isinstance(raw, list) or not all(isinstance(name, str) for name in raw):
        raise InvalidInput(
            "fields is an array of strings", mnemonic="data_type_error", field="fields", value=raw
        )
    unknown = [name for name in dict.fromkeys(raw) if name not in listing.by_name]
    if unknown:
        raise InvalidInput(
            f"There are no such fields here. {field_remedy(unknown, listing.by_name)}",
            mnemonic="unexpected_parameters",
            field="fields",
            value=unknown[0][:NAME_LENGTH],
            params={"parameters": shown_names(unknown)},
        )
    return tuple(dict.fromkeys(raw))


def _sort(raw: Any, listing: Listing) -> tuple[SortKey, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise InvalidInput("sort is an array", mnemonic="data_type_error", field="sort", value=raw)
    if len(raw) > MAX_SORT_KEYS:
        raise InvalidInput(f"sort takes at most {MAX_SORT_KEYS} fields", field="sort")
    keys: dict[str, SortKey] = {}
    for position, item in enumerate(raw):
        key = _sort_key(item, listing, f"sort.{position}")
        keys.setdefault(key.column.name, key)
    return tuple(keys.values())


def _sort_key(raw: Any, listing: Listing, path: str) -> SortKey:
    if not isinstance(raw, Mapping):
        raise InvalidInput(
            "a sort item is an object {field, order}", mnemonic="data_type_error", field=path, value=raw
        )
    unknown_keys = [key for key in raw if key not in ("field", "order")]
    if unknown_keys:
        raise InvalidInput(
            "only field and order are allowed here",
            mnemonic="unexpected_parameters",
            field=f"{path}.{unknown_keys[0][:NAME_LENGTH]}",
            params={"parameters": [f"{path}.{key}" for key in shown_names(unknown_keys)]},
        )
    if raw.get("field") is None:
        raise InvalidInput(
            "a sort item needs 'field'", mnemonic="required_parameter_missed", field=f"{path}.field"
        )
    column = known_column(listing, raw["field"], f"{path}.field")
    if not column.sortable:
        raise InvalidInput(
            f"'{column.name}' cannot be sorted by. {field_remedy((), _sortable(listing), 'Sortable fields')}",
            mnemonic="sort_prohibited",
            field=f"{path}.field",
            value=column.name,
        )
    order = raw.get("order")
    if order is not None and not isinstance(order, str):
        raise InvalidInput(
            "order is a string", mnemonic="data_type_error", field=f"{path}.order", value=order
        )
    direction = (order or "asc").lower()
    if direction not in ("asc", "desc"):
        raise InvalidInput("order is 'asc' or 'desc'", field=f"{path}.order", value=order)
    return SortKey(column, direction == "desc")


def _sortable(listing: Listing) -> list[str]:
    return [name for name, column in listing.searchable.items() if column.sortable]


def _bounded(raw: Any, name: str, default: int, maximum: int) -> int:
    if raw is None:
        return default
    number = raw
    is_digits = isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 19
    if is_digits or (isinstance(raw, float) and raw.is_integer()):
        number = int(raw)
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidInput(f"{name} is a whole number", mnemonic="data_type_error", field=name, value=raw)
    if not 0 <= number <= maximum:
        raise InvalidInput(
            f"{name} is from 0 to {maximum}", field=name, value=raw, params={"max_value": maximum}
        )
    return number
