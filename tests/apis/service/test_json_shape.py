"""Values and names of a JSON text, counted without parsing it: the way for small texts and the way for others agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.apis.service import json_shape
from trunkline.apis.service.json_shape import Shape, count_names, has_each_name_once, shape_of

TEXTS = st.text(alphabet='a":,[]{}\\\n\u00e9')
DOCUMENTS = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def counted(value: Any) -> Shape:
    """Names, and values but those of which an empty array or object has none."""
    match value:
        case dict():
            inner = [counted(one) for one in value.values()]
            names = len(value) + sum(one.names for one in inner)
        case list():
            inner = [counted(one) for one in value]
            names = sum(one.names for one in inner)
        case _:
            return Shape(1, 0)
    return Shape(1 + sum(one.values for one in inner), names)


@given(DOCUMENTS)
def test_small_texts_are_counted_as_large_ones(document: Any) -> None:
    body = json.dumps(document, ensure_ascii=False).encode()
    small = shape_of(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_shape, "_SMALL", -1)
        assert shape_of(body) == small
    exact = counted(document)
    assert small.names == exact.names == count_names(document)
    assert small.values >= exact.values
    assert has_each_name_once(body, exact.names)


@pytest.mark.parametrize("padding", [0, 10_000])
@pytest.mark.parametrize(
    ("inner", "is_once"),
    [
        (b'"a": ":", "b": 1', True),
        (b'"a": "\\\\", "b": ":"', True),
        (b'"a": ":", "a": 1', False),
        (b'"a\\":": "\\"", "a\\":": {}', False),
    ],
)
def test_a_name_twice(inner: bytes, is_once: bool, padding: int) -> None:
    body = b'{"padding": "' + b"x" * padding + b'", ' + inner + b"}"
    names = count_names(json.loads(body))
    assert names is not None
    assert has_each_name_once(body, names) is is_once
