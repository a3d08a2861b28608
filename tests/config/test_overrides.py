"""What is put into a command line is what Hydra reads from it."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mnist_mlp.config.overrides import key_of, override_value

VALUES = [
    *(None, True, False, 0, -3, 1.0, 1e-05, 2.5e10, [], [128, 64], [0.9, 0.999], ["a", None, [True]]),
    *("relu", "32-true", "", " ", "a b", "it's", '"', "a,b=c", "[1]", "/runs/it's=1", "C:\\runs\\", "\\'", "größe"),
    *("null", "True", "nan", "inf", "1", "1e3", "00:10:00:00"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    found = OverridesParser.create().parse_override(f"key={override_value(value)}").value()
    found = [_plain(item) for item in found] if isinstance(found, list) else _plain(found)
    assert (found, type(found)) == (value, type(value))


def _plain(value: Any) -> Any:
    """Without Hydra's note of how the text was quoted."""
    return getattr(value, "text", value)


@pytest.mark.parametrize("override", ["optimizer.lr=1e-3", "+optimizer.lr=a=b", "++optimizer.lr=", "~optimizer.lr"])
def test_the_key_is_what_stands_before_the_sign(override: str) -> None:
    assert key_of(override) == "optimizer.lr"
