"""Templates: any that is accepted yields what was meant, whatever the values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import InvalidInput
from trunkline.notifications.templates import Format, default_body, parse_body, parse_url, plain
from trunkline.notifications.variables import VARIABLES, Value

names = st.sampled_from(sorted(VARIABLES))
values: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers(), max_size=3),
    st.lists(st.text(), max_size=3),
)
assignments = st.dictionaries(names, values)


def frames(depth: int = 2) -> st.SearchStrategy[tuple[str, Any]]:
    """A JSON template with what it should become: a function of the values."""
    unquoted = names.map(lambda name: (f"{{{{{name}}}}}", lambda given: given.get(name)))
    pieces = st.lists(
        st.one_of(
            st.text().map(
                lambda text: (json.dumps(text)[1:-1].replace("{{", "{\\u007b"), lambda _given, t=text: t)
            ),
            names.map(lambda name: (f"{{{{ {name} }}}}", lambda given: plain(_number(given.get(name))))),
        ),
        max_size=4,
    )
    quoted = pieces.map(
        lambda parts: (
            '"' + "".join(part[0] for part in parts) + '"',
            lambda given: "".join(part[1](given) for part in parts),
        )
    )
    leaves = st.one_of(unquoted, quoted, st.integers().map(lambda n: (str(n), lambda _given: n)))
    if depth == 0:
        return leaves
    inner = st.one_of(leaves, frames(depth - 1))
    lists = st.lists(inner, max_size=3).map(
        lambda parts: (
            "[" + ", ".join(part[0] for part in parts) + "]",
            lambda given: [part[1](given) for part in parts],
        )
    )
    objects = st.dictionaries(st.sampled_from("abcde"), inner, max_size=3).map(
        lambda parts: (
            "{ " + ",\n".join(f'"{key}" : {part[0]}' for key, part in parts.items()) + " }",
            lambda given: {key: part[1](given) for key, part in parts.items()},
        )
    )
    return st.one_of(lists, objects)


def _number(value: Value) -> Value:
    """JSON knows no infinity and no NaN: they have no value."""
    return None if isinstance(value, float) and value - value != 0 else value


@given(frames(), assignments)
def test_json_becomes_what_is_meant(frame: tuple[str, Any], given: dict[str, Value]) -> None:
    text, meant = frame
    finite = {name: _number(value) for name, value in given.items()}
    assert json.loads(parse_body(text, "application/json").render(given)) == meant(finite)


@given(st.text(alphabet='{}"\\u01, []:a', max_size=40), names, st.integers(0, 40), assignments)
def test_what_is_accepted_yields_json(text: str, name: str, place: int, given: dict[str, Value]) -> None:
    template = text[:place] + "{{" + name + "}}" + text[place:]
    try:
        parsed = parse_body(template, "application/json")
    except InvalidInput:
        return
    json.loads(parsed.render(given))


@given(assignments)
def test_without_a_template(given: dict[str, Value]) -> None:
    assert json.loads(default_body(given)) == {name: _number(value) for name, value in given.items()}


@given(st.lists(names, min_size=1, max_size=3, unique=True), assignments)
def test_forms_and_addresses_are_escaped(chosen: list[str], given: dict[str, Value]) -> None:
    query = "&".join(f"{name}={{{{{name}}}}}" for name in chosen)
    body = parse_body(query, "application/x-www-form-urlencoded")
    assert body.format is Format.FORM
    url = parse_url("https://receiver.example/{{app_id}}/hook?" + query).render(given)
    assert urlsplit(url).netloc == "receiver.example"
    for text in (body.render(given), urlsplit(url).query):
        read = parse_qs(text, keep_blank_values=True, errors="surrogatepass")
        assert read == {name: [plain(_number(given.get(name)))] for name in chosen}
    assert unquote(urlsplit(url).path) == f"/{plain(_number(given.get('app_id')))}/hook"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ('{"a": {{nonsense}}}', "no variable 'nonsense' (in line 1, column 7)"),
        ('{"a":\n {{app_id}', "in line 2, column 2"),
        ('{"a": {{app_id}}', "not valid JSON"),
        ('{"a": 1{{app_id}}}', "not valid JSON"),
        ('{"a": {{app_id}}{{app_id}}}', "not valid JSON"),
        ("{ {{app_id}}: 1}", "not valid JSON"),
        ('{"a": "\\u12{{app_id}}34"}', "\\u escape"),
        ('{"a": NaN, "b": {{app_id}}}', "not valid JSON"),
        ('{"a": "{{}}"}', "no variable ''"),
        ("[" * 100_000, "shorten"),
        ("[" * 60_000, "no JSON|too deeply"),
    ],
)
def test_faults_are_reported_with_their_place(template: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_body(template)
    assert any(words in caught.value.message for words in complaint.split("|"))
    assert caught.value.field == "body_template"


@pytest.mark.parametrize(
    "url",
    [
        "receiver.example/hook",
        "ftp://receiver.example",
        "http://",
        "http://{{app_id}}.example/",
        "http://receiver.example:port/",
        "http://receiver.example/a b",
        "http://receiver.example/{{nonsense}}",
        "http://[::1/",
    ],
)
def test_bad_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_url(url)
    assert caught.value.field == "url"


def test_text_has_commas_and_nothing() -> None:
    template = parse_body("tags: {{tag_names}}; {{is_internal}}; {{employee_id}}!")
    assert template.format is Format.TEXT
    assert template.render({"tag_names": ["a", "b"], "is_internal": True}) == "tags: a,b; true; !"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "templates").glob("*.json")), ids=lambda p: p.stem
)
def test_templates_of_existing_receivers(path: Path) -> None:
    """Their placeholders stand unquoted in the JSON."""
    template = parse_body(path.read_text())
    assert template.format is Format.JSON
    assert set(json.loads(template.render({}))) == template.names


def test_a_brace_before_a_placeholder_stays() -> None:
    assert parse_body('["{{{contact_id}}}"]').render({"contact_id": 5}) == '["{5}"]'
    assert parse_body("a {{{contact_id}} b", "text/plain").render({"contact_id": 5}) == "a {5 b"
    url = parse_url("https://receiver.example/x?{{{contact_id}}")
    assert url.render({"contact_id": 5}) == "https://receiver.example/x?{5"


# --- XML

XML = """<?xml version="1.0"?>
<call id="{{call_session_id}}" name='{{employee_full_name}}'><n>a{{contact_full_name}}</n></call>"""


def _as_xml(value: Value) -> str:
    """What a parser makes of a value: characters that XML cannot hold are replaced, ``\\r`` came as a reference."""
    allowed = "\t\n\r"
    return "".join(
        one if one in allowed or (one >= " " and one not in "\ufffe\uffff") else "\ufffd"
        for one in plain(_number(value))
    )


@given(values, values, values)
def test_xml_has_the_values_whatever_they_are(first: Value, second: Value, third: Value) -> None:
    template = parse_body(XML)
    assert template.format is Format.XML
    given_values = {"call_session_id": first, "employee_full_name": second, "contact_full_name": third}
    root = ElementTree.fromstring(template.render(given_values))
    assert root.attrib == {"id": _as_xml(first), "name": _as_xml(second)}
    assert root[0].text == "a" + _as_xml(third)


@pytest.mark.parametrize(
    "text",
    [
        "<?xml version='1.0'?><a>{{call_session_id}}",
        "<a><!-- {{call_session_id}} --></a>",
        "<{{direction}}/>",
        '<a {{direction}}="1"/>',
        "<a><![CDATA[{{direction}}]]></a>",
        "<a/>{{direction}}",
        "<?x {{direction}}?><a/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<?xml version="1.0" encoding="windows-1251"?><a/>',
        "<a>\ud800</a>",
    ],
)
def test_xml_templates_that_a_value_could_break_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no XML"):
        parse_body(text, "application/xml")


def test_text_in_angle_brackets_is_text() -> None:
    template = parse_body("<p>{{direction}}<br>")
    assert template.format is Format.TEXT
    assert template.render({"direction": "in"}) == "<p>in<br>"


@pytest.mark.parametrize("content_type", ["text/xml; charset=utf-8", "application/soap+xml"])
def test_a_content_type_makes_it_xml(content_type: str) -> None:
    assert (
        parse_body("  <a>{{direction}}</a>", content_type).render({"direction": "<&"}) == "  <a>&lt;&amp;</a>"
    )
