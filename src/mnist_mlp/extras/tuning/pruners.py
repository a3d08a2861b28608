"""Pruners: which trials of a search end early, decided from nothing but the accuracies that the study has on disk.

Asked again after a kill, a pruner gives the answer that it gave before, unless another process has added trials since.
"""

from __future__ import annotations

from statistics import median

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import FrozenTrial, TrialState

from mnist_mlp.config.commands import SearchConfig

PROPOSAL = "proposed_with"  # user attribute of a trial, see `proposal_of`


def pruner(search: SearchConfig) -> BasePruner:
    """The pruner that `tune.pruner` names."""
    if search.pruner == "median":
        return MedianOfTheOthers(warmup=search.warmup)
    if search.pruner == "halving":
        return Halving(first=search.warmup)
    return NopPruner()


def proposal_of(trial: optuna.Trial | FrozenTrial) -> int:
    """The proposal that a trial belongs to: the trials that one process drew together, before any had a result.

    Its number is how many trials the study had before. Its trials train side by side, and after a kill resume at one
    step. A trial without the attribute is a proposal of its own.
    """
    return int(trial.user_attrs.get(PROPOSAL, trial.number))


class MedianOfTheOthers(BasePruner):
    """Ends a trial whose best epoch so far is below the median of the other trials at the same epoch.

    Optuna's MedianPruner compares with completed trials alone, so of trials that train side by side it would end none.
    Here those of the same proposal count as well; one that has been ended early counts with its last accuracy, or else
    the median would rise when a poor trial ends. For trials trained one by one, with a validation in every epoch
    and without early stopping, this is Optuna's with `n_startup_trials=4`.
    """

    FEWEST = 4
    """other trials to compare with; with fewer, none is ended"""

    def __init__(self, warmup: int) -> None:
        self.warmup = warmup

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        if epoch is None or epoch < self.warmup:
            return False
        others = [
            accuracy
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number
            and (other.state == TrialState.COMPLETE or proposal_of(other) == proposal_of(trial))
            and (accuracy := _latest(other, epoch)) is not None
        ]
        return len(others) >= self.FEWEST and max(trial.intermediate_values.values()) < median(others)


class Halving(BasePruner):
    """Successive halving, asynchronous, with a reduction factor of 2 (Li et al. 2020, "A System for Massively Parallel
    Hyperparameter Tuning"): after `first` epochs, and after each doubling of them, a trial goes on if it is among the
    better half of the trials that have reached this epoch, itself included.

    Optuna's SuccessiveHalvingPruner notes in the study that a trial was asked about, before the trial is ended: one
    that is killed in between would go on. And trials of a stack are asked about one after another, at the same
    epoch: it would compare each only with those before it, and never end the first.
    """

    def __init__(self, first: int) -> None:
        self.first = first

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        if epoch is None or not self._halves_at(epoch, trial):
            return False
        reached = [other.intermediate_values.get(epoch) for other in study.get_trials(deepcopy=False)]
        accuracies = sorted((accuracy for accuracy in reached if accuracy is not None), reverse=True)
        better_half = accuracies[: max(1, len(accuracies) // 2)]
        return trial.intermediate_values[epoch] < better_half[-1]

    def _halves_at(self, epoch: int, trial: FrozenTrial) -> bool:
        """Whether one of the epochs `first`, 2 `first`, 4 `first`, ... came since the validation before this one."""
        before = max((number for number in trial.intermediate_values if number < epoch), default=0)
        halving = self.first
        while halving <= before:
            halving *= 2
        return halving <= epoch


def _latest(trial: FrozenTrial, epoch: int) -> float | None:
    """The accuracy that a trial had at an epoch, or at the last one before it that was validated."""
    reported = [number for number in trial.intermediate_values if number <= epoch]
    return trial.intermediate_values[max(reported)] if reported else None
