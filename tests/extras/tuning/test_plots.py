"""Pictures of a study, of any outcome, whose words can be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from helpers.small_search import study_in
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from mnist_mlp.config.compose import composed
from mnist_mlp.extras.tuning import plots
from mnist_mlp.extras.tuning.pruners import PROPOSAL
from mnist_mlp.extras.tuning.report import time_left, trial_line
from mnist_mlp.extras.tuning.search import _validation_images
from mnist_mlp.extras.tuning.study import RESUMED

SPACE: dict[str, BaseDistribution] = {
    "optimizer.lr": FloatDistribution(1e-3, 5e-3, log=True),
    "model.hidden": CategoricalDistribution(["[128,64]", "[256,128,64]", "[512,256,128]", "[1024]"]),
    "model.dropout": FloatDistribution(0, 0.5),
    "data.batch_size": IntDistribution(16, 256, log=True),
}


def study_of(values: list[float], epochs: int = 3) -> optuna.Study:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for value in values:
        trial = study.ask(SPACE)
        for epoch in range(1, epochs + 1):
            trial.report(value * epoch / epochs, epoch)
        study.tell(trial, value)
    return study


def drawn(study: optuna.Study, folder: Path) -> set[str]:
    trials = study.get_trials()
    return set(plots.draw(study, trials, study.best_trial, None, folder))


@pytest.mark.slow
def test_importance_is_drawn_only_of_enough_trials(tmp_path: Path) -> None:
    values = [0.9 + index / 1000 for index in range(plots.ENOUGH)]
    assert drawn(study_of(values[:-1]), tmp_path) == {"history.png", "slices.png"}
    assert drawn(study_of(values), tmp_path) == {"history.png", "slices.png", "importance.png"}


@pytest.mark.parametrize(("value", "trials", "epochs"), [(1.0, 3, 3), (0.0, 2, 1), (0.9, 20, 0)])
def test_a_study_whose_trials_are_all_the_same_is_drawn(tmp_path: Path, value: float, trials: int, epochs: int) -> None:
    assert drawn(study_of([value] * trials, epochs), tmp_path) == {"history.png", "slices.png"}


def test_ticks_do_not_lie_on_one_another() -> None:
    study = study_of([0.9, 0.95])
    figure = plots._slices(study.get_trials(), [], study.best_trial)
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    for axes in panels:
        upright = [label for label in axes.get_xticklabels(which="both") if label.get_text()]
        assert len(upright) >= 2
        if upright[0].get_rotation():
            continue
        boxes = sorted((label.get_window_extent() for label in upright), key=lambda box: box.x0)
        for left, right in pairwise(boxes):
            assert left.x1 < right.x0


def test_a_trials_line_has_the_best_so_far_and_the_time_left_within_80_columns(tmp_path: Path) -> None:
    with study_in(tmp_path) as study:
        began = datetime(2026, 1, 1)
        for number, (value, seconds) in enumerate([(0.91, 20), (0.95, 70)]):
            study.study.add_trial(
                FrozenTrial(
                    number=number,
                    state=TrialState.COMPLETE,
                    value=value,
                    datetime_start=began,
                    datetime_complete=began + timedelta(seconds=seconds),
                    params=study.space.first(),
                    distributions=study.space.distributions,
                    user_attrs={},
                    system_attrs={},
                    intermediate_values={},
                    trial_id=number,
                )
            )
        assert time_left(study) == "3 min"  # four more of 45 seconds each
        line = trial_line(study, 1, "91.00%", ["lr=0.002", "hidden=[1024,1024,1024,1024]"])
        of_the_same_stack = study.study.ask(study.space.distributions)
        of_the_same_stack.set_user_attr(PROPOSAL, 1)
        assert time_left(study) == "90 s"  # it ends with trial 1: three more of half a minute each
        of_the_same_stack.set_user_attr(RESUMED, True)
        assert time_left(study) == "4 min"  # of 70 seconds each, as trial 2: the others had a pause
    assert line.startswith("trial   1 of 6  91.00%    best so far 95.00%  3 min left  lr=0.002")
    assert max(map(len, line.splitlines())) <= 80


def test_the_standard_error_is_that_of_the_images_which_were_validated() -> None:
    trainer = composed().trainer
    config: Any = SimpleNamespace(data=SimpleNamespace(val_size=5_000, batch_size=128), trainer=trainer)
    assert _validation_images(config) == 5_000
    config.trainer = replace(trainer, limit_val_batches=2)
    assert _validation_images(config) == 256
