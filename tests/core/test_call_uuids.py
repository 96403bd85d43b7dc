"""UUIDs of calls: of each id one, and no other is read as an id."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.call_uuids import identifier_of, uuid_of

IDS = st.integers(0, 2**53 - 1)


@given(IDS)
def test_an_id_is_read_from_its_uuid(identifier: int) -> None:
    text = uuid_of(identifier)
    assert uuid.UUID(text).version == 8
    assert uuid.UUID(text).variant == uuid.RFC_4122
    assert identifier_of(text) == identifier
    assert identifier_of(text.upper()) == identifier


@given(IDS, st.integers(0, 127))
def test_a_changed_uuid_is_no_id(identifier: int, bit: int) -> None:
    changed = str(uuid.UUID(int=uuid.UUID(uuid_of(identifier)).int ^ 1 << bit))
    assert identifier_of(changed) is None


@pytest.mark.parametrize("text", ["", "1", "70b27a69-1363-42e1-9c37-4f9c159beb3b", "x" * 36])
def test_other_texts_are_no_ids(text: str) -> None:
    assert identifier_of(text) is None


@pytest.mark.parametrize("number", [-1, 2**53])
def test_other_numbers_have_no_uuid(number: int) -> None:
    with pytest.raises(ValueError, match="ids are"):
        uuid_of(number)
