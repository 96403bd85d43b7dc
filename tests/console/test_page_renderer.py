"""Templates are compiled once for all languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.console import static_files
from trunkline.console.languages import LANGUAGES
from trunkline.console.page_renderer import PageRenderer


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> PageRenderer:
    folder = Path(static_files.__file__).with_name("static")
    return PageRenderer(static_files.StaticFiles(folder, tmp_path_factory.mktemp("assets")))


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'Calls'|translated }}",
        "{{ _('Calls') }}",
        "{{ ('Calls', {})|filled }}",
        "{% trans %}Calls{% endtrans %}",
    ],
)
def test_what_a_template_is_compiled_to_has_no_language(renderer: PageRenderer, text: str) -> None:
    environments = renderer._environments
    assert len({one.compile(text, raw=True) for one in environments.values()}) == 1
    shown = {environments[code].from_string(text).render() for code in LANGUAGES}
    assert len(shown) == len(LANGUAGES)


def test_a_template_is_compiled_once(renderer: PageRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = renderer._environments.values()
    first.get_template("layout.html")
    for other in others:
        monkeypatch.setattr(other, "compile", None)
        other.get_template("layout.html")
