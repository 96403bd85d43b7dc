"""Tests. Assertions in helper modules show the values that they compare, as those in test modules do."""

from pathlib import Path

import pytest

for _folder in Path(__file__).parent.iterdir():
    if _folder.is_dir():
        pytest.register_assert_rewrite(f"tests.{_folder.name}")
