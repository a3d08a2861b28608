"""What is put into a command line is what Hydra reads from it."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mnist_mlp.config.overrides import key_of, override_value

# Letters that mean something to Hydra, to a shell or to neither, and words that mean something else than themselves.
TEXTS = st.text(string.ascii_letters + string.digits + " \\'\",=[]{}()<>$%#:;/._~+-*!?@&|^`äß数😀", max_size=8)
WORDS = st.sampled_from(
    ["null", "Null", "true", "True", "nan", "inf", "1", "1e3", "-", "00:10:00:00", "${seed}", "???"]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | WORDS | TEXTS


@given(PLAIN | st.recursive(st.lists(PLAIN, max_size=4), lambda held: st.lists(held | PLAIN, max_size=3), max_leaves=6))
@settings(max_examples=60)
@example("C:\\runs\\")
@example("/runs/it's=1")
@example(["a", None, [True]])
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    found = _plain(OverridesParser.create().parse_override(f"key={override_value(value)}").value())
    assert (found, type(found)) == (value, type(value))


def _plain(value: Any) -> Any:
    """Without Hydra's note of how the text was quoted."""
    return [_plain(item) for item in value] if isinstance(value, list) else getattr(value, "text", value)


@pytest.mark.parametrize("override", ["optimizer.lr=1e-3", "+optimizer.lr=a=b", "++optimizer.lr=", "~optimizer.lr"])
def test_the_key_is_what_stands_before_the_sign(override: str) -> None:
    assert key_of(override) == "optimizer.lr"
