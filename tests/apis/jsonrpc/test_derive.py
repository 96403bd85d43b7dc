"""Parameters and results come from the pages of methods; a declaration names what differs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from trunkline import apis
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc import Api, Envelope, Field, FieldType, Method, Param, ParamType
from trunkline.apis.jsonrpc.derive import envelope_for, fields_for, override, params_for
from trunkline.contract import Fact, params_of

DECLARED = [method for service_spec in SERVICE_SPECS for method in service_spec.methods]
SOURCES = Path(apis.__file__).parent


def _by_name(params: tuple[Param, ...]) -> dict[str, Param]:
    return {param.name: param for param in params}


def test_parameters_that_are_not_named_come_from_the_page() -> None:
    params = _by_name(params_for(Api.DATA, "create.contacts", ()))
    assert params["last_name"] == Param("last_name", ParamType.STRING, required=True)
    assert params["emails"] == Param("emails", ParamType.ARRAY)


def test_what_is_named_is_added() -> None:
    [*_, groups] = params_for(
        Api.DATA, "create.contacts", (override("groups", items=ParamType.NUMBER, nullable=True),)
    )
    assert groups == Param("groups", ParamType.ARRAY, items=ParamType.NUMBER, nullable=True)


def test_a_shared_difference_can_be_extended() -> None:
    shared = override("groups", maximum=5)
    params = _by_name(params_for(Api.DATA, "update.contacts", (shared.changed(nullable=True),)))
    assert (params["groups"].maximum, params["groups"].nullable) == (5, True)


def test_whether_a_parameter_is_required_depends_on_the_method() -> None:
    name = override("last_name", maximum=9)
    assert _by_name(params_for(Api.DATA, "create.contacts", (name,)))["last_name"].required
    assert not _by_name(params_for(Api.DATA, "update.contacts", (name,)))["last_name"].required


def test_a_parameter_in_full_replaces_that_of_the_page_or_follows() -> None:
    full, ours = Param("last_name", ParamType.NUMBER), Param("nick", ParamType.STRING)
    params = params_for(Api.DATA, "create.contacts", (ours, full))
    assert _by_name(params)["last_name"] is full
    assert params[-1] is ours


def test_what_an_object_contains_comes_from_the_page() -> None:
    declared = override("extension", params=(override("extension_phone_number", maximum=4),))
    extension = _by_name(params_for(Api.DATA, "create.employees", (declared,)))["extension"]
    assert _by_name(extension.params)["extension_phone_number"].maximum == 4
    assert _by_name(extension.params)["extension_voice_mail_enabled"].type is ParamType.BOOLEAN


def test_a_name_that_the_page_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no nick: declare it in full"):
        params_for(Api.DATA, "create.contacts", (override("nick"),))
    with pytest.raises(ValueError, match="no nick: declare it in full"):
        fields_for(Api.DATA, "create.contacts", (override("nick"),))


def test_a_field_in_full_inside_one_of_the_page_is_refused() -> None:
    inner: Any = Field("extension_phone_number", FieldType.STRING)
    declared = override("extension", params=(inner,))
    with pytest.raises(ValueError, match="extension: declare the field in full"):
        fields_for(Api.DATA, "get.employees", (declared,))


def test_a_field_can_only_be_described() -> None:
    [made] = fields_for(Api.DATA, "create.contacts", (override("id", description="Its number."),))
    assert made == Field("id", FieldType.NUMBER, description="Its number.")
    with pytest.raises(ValueError, match="declare the field in full"):
        fields_for(Api.DATA, "create.contacts", (override("id", required=True),))


def test_a_name_that_the_page_has_elsewhere_is_declared_once() -> None:
    inner = Param("last_name", ParamType.STRING, contract_name="last_name")
    params = params_for(Api.DATA, "create.contacts", (Param("person", ParamType.OBJECT, params=(inner,)),))
    assert "last_name" not in _by_name(params)


def test_the_place_of_the_result_comes_from_the_page() -> None:
    assert envelope_for(Api.DATA, "create.contacts") is Envelope.DIRECT
    assert envelope_for(Api.DATA, "get.chats", Envelope.DATA_ARRAY) is Envelope.DATA_ARRAY  # it does not say


@pytest.mark.parametrize("method", DECLARED, ids=lambda method: f"{method.api} {method.name}")
def test_parameters_are_in_the_order_of_the_page(method: Method) -> None:
    declared = [param.name for param in method.params]
    page = [fact.name for fact in params_of(method.api, method.name) if fact.name in declared]
    assert [name for name in declared if name in page] == page


def _in_full(path: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [
        node.args[0].value
        for node in calls
        if isinstance(node.func, ast.Name)
        and node.func.id == "Param"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    return {str(name) for name in named}


def _leaves(facts: tuple[Fact, ...]) -> set[str]:
    return {fact.name for fact in facts} | {name for fact in facts for name in _leaves(fact.inner)}


_FORMS = "a further form of the parameters has it, too"
IN_FULL = {
    "data_api/analysis.py": ({"call_session_id"}, "a method that the reference does not have shares it"),
    "data_api/change_methods.py": ({"id"}, "every method that changes one row has it"),
    "data_api/contacts.py": ({"ids"}, _FORMS),
    "data_api/employees.py": ({"phone_id"}, "the page has it next to phone_numbers"),
    "data_api/flat_reports.py": (
        {"field", "operator", "sort", "value"},
        "the page has words of filters under sort",
    ),
    "data_api/numbers.py": ({"virtual_phone_number"}, "a method that the reference does not have shares it"),
    "data_api/tags.py": ({"communication_id", "communication_type", "tag_id", "tag_ids"}, _FORMS),
    "data_api/upload_conversations.py": (
        {"campaign_id", "date_time", "ext_id", "name", "site_id"},
        "the sample has it, or visits share it, which the page does not describe",
    ),
    "call_api/hold_and_transfer.py": ({"to"}, _FORMS),
}
"""Parameters in full although a page has them, and why."""


def test_no_other_parameter_of_a_page_is_written_by_hand() -> None:
    in_full = {}
    for path in (path for folder in ("data_api", "call_api") for path in (SOURCES / folder).glob("*.py")):
        text = path.read_text()
        methods = [method for method in DECLARED if f'"{method.name}"' in text]
        on_pages = {name for method in methods for name in _leaves(params_of(method.api, method.name))}
        if found := _in_full(path) & on_pages:
            in_full[f"{path.parent.name}/{path.name}"] = found
    assert in_full == {file: names for file, (names, _) in IN_FULL.items()}
