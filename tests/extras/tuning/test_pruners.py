"""Pruners, asked about accuracies that were made up."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from mnist_mlp.extras.tuning.pruners import PROPOSAL, Halving, MedianOfTheOthers


def test_the_worse_half_of_a_stack_ends_early_and_is_still_compared_with() -> None:
    study = optuna.create_study(direction="maximize", pruner=MedianOfTheOthers(warmup=2))
    trials = {accuracy: study.ask() for accuracy in (0.7, 0.95, 0.6, 0.9, 0.8, 0.85)}
    for trial in trials.values():
        trial.set_user_attr(PROPOSAL, 0)

    def ended(*running: float, epoch: int) -> set[float]:
        for accuracy in running:
            trials[accuracy].report(accuracy, epoch)
        return {accuracy for accuracy in running if trials[accuracy].should_prune()}

    assert ended(*trials, epoch=1) == set()
    assert ended(*trials, epoch=2) == {0.6, 0.7, 0.8}
    assert ended(0.85, 0.9, 0.95, epoch=3) == set()  # 0.85 is still above the median of the five others


@pytest.mark.parametrize(("first", "epochs", "halves"), [(1, 6, (1, 2, 4)), (3, 13, (3, 6, 12))])
def test_halving_keeps_the_better_half_of_those_that_came_as_far_and_answers_twice_alike(
    first: int, epochs: int, halves: tuple[int, ...]
) -> None:
    study = optuna.create_study(direction="maximize", pruner=Halving(first))
    reached: dict[int, list[float]] = {epoch: [] for epoch in range(1, epochs + 1)}
    accuracies = np.random.default_rng(0).random((9, epochs)).tolist()
    lengths = []
    for row in accuracies:
        trial = study.ask()
        for epoch, accuracy in enumerate(row, 1):
            trial.report(accuracy, epoch)
            reached[epoch].append(accuracy)
            better = sum(other > accuracy for other in reached[epoch])
            expected = epoch in halves and better >= max(1, len(reached[epoch]) // 2)
            assert [trial.should_prune(), trial.should_prune()] == [expected, expected]
            if expected:
                break
        lengths.append(epoch)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert set(lengths) > {halves[0], epochs}


def test_halving_waits_for_the_next_validation_and_compares_the_members_of_a_stack() -> None:
    study = optuna.create_study(direction="maximize", pruner=Halving(first=2))
    stack = {accuracy: study.ask() for accuracy in (0.6, 0.9, 0.7, 0.8)}
    ended = {}
    for epoch in (3, 6, 9):  # a validation every three epochs; halvings at 2, 4 and 8
        for accuracy, trial in stack.items():
            trial.report(accuracy, epoch)
        ended[epoch] = {accuracy for accuracy, trial in stack.items() if trial.should_prune()}
        stack = {accuracy: trial for accuracy, trial in stack.items() if accuracy not in ended[epoch]}
    assert ended == {3: {0.6, 0.7}, 6: {0.8}, 9: set()}
