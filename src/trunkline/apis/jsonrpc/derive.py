"""Parameters and results of methods from the pages of the reference; a declaration names what differs.

::

    params_for(api, "create.contacts", (override("last_name", description="..."), override("emails", maximum=50)))

Type, values, whether a parameter is required, and what an object contains come from the page, and so do parameters that
the declaration does not name. A :class:`Param` in full replaces the page's, or is one that the page does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

from trunkline.apis.jsonrpc.declare import Envelope, Field, FieldType, Method, Param, ParamType
from trunkline.apis.service.request_context import Api
from trunkline.contract import Fact, envelope_of, fields_of, params_of


class Changes(TypedDict, total=False):
    """Members of :class:`Param` and :class:`Field` that a declaration may add or replace."""

    description: str
    required: bool
    enum: tuple[str, ...]
    items: ParamType
    nullable: bool
    fractional: bool
    minimum: int
    maximum: int
    pattern: str
    convert: Callable[[Any], Any | None] | None
    default: Any
    secret: bool
    unless: tuple[str, ...]
    blank: bool


@dataclass(frozen=True, slots=True)
class Override:
    """What a declaration adds to a parameter or field of the page, or replaces.

    :ivar changes: members of :class:`Param` or :class:`Field`.
    :ivar inner: the same for what an object contains.
    """

    name: str
    changes: Changes
    inner: tuple[Param | Override, ...] = ()

    def changed(self, **changes: Unpack[Changes]) -> Override:
        """The same with further changes."""
        return replace(self, changes={**self.changes, **changes})


def override(name: str, *, params: tuple[Param | Override, ...] = (), **changes: Unpack[Changes]) -> Override:
    """A parameter, or field, as on the page but for these members of :class:`Param` or :class:`Field`."""
    return Override(name, changes, params)


def params_for(api: str, method: str, declared: Iterable[Param | Override]) -> tuple[Param, ...]:
    """The parameters of a method: those of its page in its order, then those in full that the page does not have.

    :raises ValueError: a name that is neither on the page nor declared in full.
    """
    return _params(params_of(api, method), declared)


def param_for(api: str, method: str, declared: Override) -> Param:
    """One parameter of a method's page, for a further form of its parameters.

    :raises ValueError: the page does not have it.
    """
    return next(param for param in params_for(api, method, (declared,)) if param.name == declared.name)


def fields_for(api: str, method: str, declared: Iterable[Field | Override] = ()) -> tuple[Field, ...]:
    """The fields of a method's result, as :func:`params_for` makes parameters."""
    return _fields(fields_of(api, method), declared)


def envelope_for(api: str, method: str, default: Envelope = Envelope.EMPTY) -> Envelope:
    """Where the result has its fields.

    :param default: where the page does not name it.
    """
    described = envelope_of(api, method)
    return default if described is None else Envelope(described)


def contract_method(
    *,
    api: Api,
    name: str,
    params: Iterable[Param | Override] = (),
    result: Iterable[Field | Override] = (),
    **more: Any,
) -> Method:
    """A method whose parameters, result and envelope are those of its page.

    :param params: what the page does not have, or has otherwise, see :func:`params_for`.
    :param result: see :func:`fields_for`.
    :param more: further members of :class:`Method`.
    """
    return Method(
        api=api,
        name=name,
        params=params_for(api, name, params),
        result=fields_for(api, name, result),
        envelope=envelope_for(api, name),
        **more,
    )


def _params(facts: tuple[Fact, ...], declared: Iterable[Param | Override]) -> tuple[Param, ...]:
    by_name = {one.name: one for one in declared}
    moved = set(_moved(by_name.values()))
    on_page = {fact.name: fact for fact in facts if fact.name not in moved}
    _refuse_unknown(on_page, by_name.values())
    return (
        *(_param(fact, by_name.get(name)) for name, fact in on_page.items()),
        *(one for one in by_name.values() if isinstance(one, Param) and one.name not in on_page),
    )


def _fields(facts: tuple[Fact, ...], declared: Iterable[Field | Override]) -> tuple[Field, ...]:
    by_name = {one.name: one for one in declared}
    moved = set(_moved(by_name.values()))
    on_page = {fact.name: fact for fact in facts if fact.name not in moved}
    _refuse_unknown(on_page, by_name.values())
    return (
        *(_field(fact, by_name.get(name)) for name, fact in on_page.items()),
        *(one for one in by_name.values() if isinstance(one, Field) and one.name not in on_page),
    )


def _moved(declared: Iterable[Param | Field | Override]) -> Iterator[str]:
    """Names that the page has elsewhere than the declaration."""
    for one in declared:
        if isinstance(one, Override):
            yield from _moved(one.inner)
            continue
        if one.contract_name is not None:
            yield one.contract_name
        yield from _moved(one.params if isinstance(one, Param) else one.fields)


def _refuse_unknown(facts: Mapping[str, Fact], declared: Iterable[Param | Field | Override]) -> None:
    unknown = [one.name for one in declared if isinstance(one, Override) and one.name not in facts]
    if unknown:
        raise ValueError(f"the page has no {', '.join(unknown)}: declare it in full")


def _param(fact: Fact, declared: Param | Override | None) -> Param:
    if isinstance(declared, Param):
        return declared
    type = ParamType(fact.type)
    inner = () if declared is None else declared.inner
    from_page = Param(
        fact.name,
        type,
        required=bool(fact.required),
        enum=fact.enum,
        params=_params(fact.inner, inner) if type in (ParamType.OBJECT, ParamType.ARRAY) else (),
    )
    return from_page if declared is None else replace(from_page, **declared.changes)


def _field(fact: Fact, declared: Field | Override | None) -> Field:
    if isinstance(declared, Field):
        return declared
    if declared is not None and not all(isinstance(one, Override) for one in declared.inner):
        raise ValueError(f"{fact.name}: declare the field in full, or override the fields in it")
    type = FieldType(fact.type)
    from_page = Field(
        fact.name,
        type,
        fields=_fields(
            fact.inner,
            () if declared is None else [one for one in declared.inner if isinstance(one, Override)],
        )
        if type in (FieldType.OBJECT, FieldType.ARRAY)
        else (),
        enum=fact.enum,
        filterable=fact.filterable,
        sortable=fact.sortable,
    )
    if declared is None:
        return from_page
    if declared.changes.keys() - {"description"}:
        raise ValueError(f"{fact.name}: declare the field in full")
    return replace(from_page, description=declared.changes.get("description", ""))
