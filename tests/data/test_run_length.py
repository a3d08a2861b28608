"""The length of a run, and what each limit takes from it, against a plain loop over its epochs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mnist_mlp.config.compose import composed
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.data.run_length import RunLength, run_length

CONFIG = composed("data=synthetic")
SHARES = st.floats(0, 1)
LIMITS = {
    "max_epochs": st.integers(0, 5),
    "max_steps": st.just(-1) | st.integers(0, 60),
    "limit_train_batches": st.just(1.0) | st.integers(0, 20) | SHARES,
    "overfit_batches": st.just(0) | st.integers(0, 3) | SHARES,
    "fast_dev_run": st.just(False) | st.integers(0, 4) | st.just(True),
    "accumulate_grad_batches": st.integers(1, 3),
    "val_check_interval": st.just(1.0) | st.integers(1, 20) | st.floats(0, 1, exclude_min=True),
}
TRAINERS = st.fixed_dictionaries({}, optional=LIMITS).map(lambda given: replace(CONFIG.trainer, **given))
SIZES = st.tuples(st.integers(1, 300), st.integers(1, 40))  # training images, batch


def planned(trainer: Any, images: int, batch: int) -> RunLength | None:
    try:
        return run_length(replace(CONFIG.data, batch_size=batch), trainer, {"train": images, "val": 1, "test": 1})
    except ConfigError:
        return None


def counted(trainer: Any, images: int, batch: int) -> list[int]:
    """Steps of each epoch, by going through them: an image at a time, until a limit says stop."""
    in_epoch, seen = 0, 0
    while seen < images:
        seen += batch * trainer.accumulate_grad_batches
        in_epoch += 1
    limit = trainer.overfit_batches or trainer.limit_train_batches
    allowed = int(limit * in_epoch) if isinstance(limit, float) else limit
    epochs, total = [], 0
    for _ in range(1 if trainer.fast_dev_run else trainer.max_epochs):
        steps = 0
        while steps < min(allowed, in_epoch) and total != trainer.max_steps:
            if trainer.fast_dev_run and steps == int(trainer.fast_dev_run):
                break
            steps, total = steps + 1, total + 1
        epochs += [steps] if steps else []
    return epochs


@given(TRAINERS, SIZES)
def test_a_run_takes_the_steps_that_a_loop_with_its_limits_takes(trainer: Any, size: tuple[int, int]) -> None:
    epochs = counted(trainer, *size)
    length = planned(replace(trainer, val_check_interval=1.0), *size)
    assert (length is None) == (sum(epochs) == 0)
    if length is not None:
        assert (length.total_steps, length.epochs) == (sum(epochs), len(epochs))
        assert length.steps_per_epoch >= epochs[0] and (len(epochs) == 1 or length.steps_per_epoch == epochs[0])
        assert length.batch_size == size[1] * trainer.accumulate_grad_batches


@given(TRAINERS, SIZES)
def test_validations_come_after_as_many_steps_as_the_interval_says(trainer: Any, size: tuple[int, int]) -> None:
    length = planned(trainer, *size)
    assume(length is not None)
    assert length is not None
    steps, interval = length.steps_per_epoch, 1.0 if trainer.fast_dev_run else trainer.val_check_interval
    assert length.steps_between_validations == (
        interval if isinstance(interval, int) else max(1, int(steps * interval))
    )


@given(TRAINERS, SIZES)
def test_a_position_is_the_epochs_and_steps_that_were_gone_through(trainer: Any, size: tuple[int, int]) -> None:
    length = planned(trainer, *size)
    assume(length is not None)
    assert length is not None
    epoch, done = 0, 0
    for step in range(length.total_steps):
        assert length.position(step) == (epoch, done)
        epoch, done = (epoch + 1, 0) if done + 1 == length.steps_per_epoch else (epoch, done + 1)
    assert length.position(length.total_steps) == (length.epochs, 0)


def test_a_validation_that_would_never_come_is_refused() -> None:
    trainer = replace(CONFIG.trainer, val_check_interval=9)
    data, sizes = replace(CONFIG.data, batch_size=10), {"train": 90, "val": 25, "test": 0}
    run_length(data, trainer, sizes)
    with pytest.raises(ConfigError, match="expected at most the 8 batches of an epoch, got 9"):
        run_length(data, trainer, {**sizes, "train": 80})


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_share_of_an_evaluation_below_one_batch_is_refused(stage: str) -> None:
    data, sizes = replace(CONFIG.data, batch_size=10), {"train": 90, "val": 0, "test": 0, stage: 25}
    for limit in (0, 0.0, 1, 0.34):
        run_length(data, replace(CONFIG.trainer, **{f"limit_{stage}_batches": limit}), sizes)
    with pytest.raises(ConfigError, match=rf"limit_{stage}_batches: .* one of the 3 batches, got 0\.33"):
        run_length(data, replace(CONFIG.trainer, **{f"limit_{stage}_batches": 0.33}), sizes)
