"""Our own regular expressions take time in proportion to what a tenant sends: doubling a text that almost matches about
doubles the steps, which the engine's own limit shows."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from trunkline.core import phone
from trunkline.core.errors import InvalidInput
from trunkline.notifications import templates

pytestmark = pytest.mark.attack

LONG = 65_000


def _template(text: str) -> None:
    with pytest.raises(InvalidInput):
        templates.parse_body(text, "text/plain")


_HOSTILE: dict[str, tuple[Callable[[str], object], str]] = {
    "a placeholder of spaces": (_template, "{{" + " " * LONG),
    "many openings": (_template, "{{" * (LONG // 2)),
    "an extension of dots": (phone.with_extension, "1" + "." * LONG),
    "an extension of keys": (phone.with_extension, "1..*#" * (LONG // 5) + "x"),
    "a number of dressing": (phone.normalise, "+1" + " (" * (LONG // 2)),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_text_that_almost_matches_is_read_in_one_step_of_the_event_loop(name: str) -> None:
    """The longest took ten seconds of processor time before."""
    read, text = _HOSTILE[name]
    began = time.thread_time()
    read(text)
    assert time.thread_time() - began < 0.05
