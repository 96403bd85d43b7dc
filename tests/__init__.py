"""Tests. Assertions in helper modules show the values that they compare, as those in test modules do."""

import pytest

pytest.register_assert_rewrite("tests")
