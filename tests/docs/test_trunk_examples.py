"""The examples of trunks are directory files."""

from __future__ import annotations

from tests.docs.pages import DOCS, blocks
from trunkline.directory.files.file import parse


def test_each_example_is_accepted() -> None:
    texts = [block.text for block in blocks(DOCS / "operations" / "trunks.md") if block.language == "yaml"]
    trunks = [
        trunk
        for text in texts
        for trunk in parse(text, {"CARRIER_PASSWORD": "tests-only-7391"}).section("trunks").values()
    ]
    assert {(trunk.mode, trunk.transport) for trunk in trunks} == {
        ("register", "udp"), ("address", "udp"), ("register", "tls"),
    }  # fmt: skip
