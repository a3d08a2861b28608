"""The notebook runs from top to bottom."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot

from mnist_mlp.config.schema import PROJECT

pytestmark = pytest.mark.extras

CELLS = json.loads((PROJECT / "notebooks" / "first_steps.ipynb").read_text())["cells"]
# In place of the cell that is meant to be changed.
PARAMETERS = 'DATA, HIDDEN, EPOCHS = "synthetic", [32], 2'


def test_it_is_committed_without_outputs() -> None:
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CELLS if "outputs" in cell)


@pytest.mark.slow
def test_its_cells_train_a_network_that_reads_the_digit_drawn_at_the_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(PROJECT / "notebooks")
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    caplog.set_level(logging.WARNING, "mnist_mlp")  # until the end of this test
    names: dict[str, Any] = {}
    for cell in CELLS:
        if cell["cell_type"] != "code":
            continue
        text = PARAMETERS if "parameters" in cell["metadata"].get("tags", []) else "".join(cell["source"])
        exec(compile(text.replace('PROJECT / "outputs"', "OUTPUTS"), cell["id"], "exec"), names)
        names["OUTPUTS"] = tmp_path
    drawn = len(pyplot.get_fignums())
    pyplot.close("all")
    assert drawn == 5
    assert names["after"] < names["loss"]
    assert names["result"].metrics["test/acc"] > 0.5
    assert "a 7, at" in capsys.readouterr().out
