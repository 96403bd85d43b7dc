"""How a get method of the Data API is declared: a :class:`~trunkline.db.query.Listing` and a few words.

To add a method, declare its listing (in the feature that owns the rows) and::

    list_method("get.tags", "Tags of the account.", TAGS, permissions=(("tag_management", "select"),))

The fields of the result, what may be filtered and sorted, and the default set come from the listing; so the
declaration and the SQL cannot disagree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from trunkline.accounts.components import TITLES
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    GET_PARAMS,
    USER_ID,
    Api,
    Component,
    Envelope,
    Field,
    FieldType,
    Method,
    Param,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.derive import Override, envelope_for, override, params_for
from trunkline.core.settings import Settings
from trunkline.db.query import Column, Listing, Page
from trunkline.reports.reader import Reader

Read = Callable[[Reader, Params], Awaitable[Page]]

VIRTUAL_PBX = Component("va", "Virtual PBX")

PERIOD = (
    override("date_from", description="First second of the period."),
    override("date_till", description="Last second of the period."),
)
"""Written ``YYYY-MM-DD hh:mm:ss`` in the account's zone."""


def list_method(
    name: str,
    summary: str,
    listing: Listing,
    *,
    read: Read | None = None,
    params: tuple[Param | Override, ...] = (),
    components: tuple[Component, ...] = (),
    permissions: tuple[tuple[str, str], ...] = (),
    contract_overrides: Mapping[str, str] = MappingProxyType({}),
    paging: tuple[Param, ...] = GET_PARAMS,
) -> Method:
    """Declare a get method.

    :param read: reads a page; None: all rows of the listing that the filter lets pass.
    :param params: parameters other than ``access_token``, ``user_id`` and those of every list.
    :param contract_overrides: dotted names of fields that the reference's table has under other names, and those.
    :param paging: which of the parameters of every list the method has.
    """

    async def handler(request: RequestContext, asked: Params) -> Result:
        reader = reader_for(request)
        page = await (reader.list(listing, asked) if read is None else read(reader, asked))
        return Result(Chunks(page.chunks), total_items=page.total_items)

    return Method(
        api=Api.DATA,
        name=name,
        summary=summary,
        params=params_for(Api.DATA, name, (ACCESS_TOKEN, USER_ID, *paging, *params)),
        result=tuple(_field(column, contract_overrides) for column in listing.columns),
        envelope=envelope_for(Api.DATA, name, Envelope.DATA_ARRAY),
        components=components,
        permissions=permissions,
        handler=handler,
    )


def reader_for(request: RequestContext) -> Reader:
    """The reader of the account that the call is about."""
    return Reader(
        database=request.services.db,
        account_id=request.account_id,
        zone=request.caller.time_zone,
        public_url=public_url(request.services.settings),
    )


def public_url(settings: Settings) -> str:
    """How clients reach this instance, for links; without a slash at the end."""
    web = settings.web
    return (web.public_url or f"http://{web.http_bind}:{web.http_port}").rstrip("/")


def titled(*names: str) -> tuple[Component, ...]:
    """Components by their names."""
    return tuple(Component(name, TITLES[name]) for name in names)


def _field(column: Column, contract_overrides: Mapping[str, str], prefix: str = "") -> Field:
    name = prefix + column.name
    return Field(
        column.name,
        FieldType(column.type.value),
        fields=tuple(_field(inner, contract_overrides, f"{name}.") for inner in column.nested),
        enum=column.enum,
        filterable=column.filterable,
        sortable=column.sortable,
        default=column.default,
        contract_name=contract_overrides.get(name),
    )
