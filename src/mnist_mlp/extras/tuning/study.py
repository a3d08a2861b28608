"""The study: an Optuna journal in one directory, shared by all processes that search."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from filelock import AcquireReturnProxy, FileLock, Timeout
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.keys import keys_where, leaves, limits_run, may_change_on_resume
from mnist_mlp.extras.tuning.pruners import PROPOSAL, proposal_of, pruner
from mnist_mlp.extras.tuning.space import SearchSpace

JOURNAL = "journal.log"
LOCK = ".lock"
STARTED_WITH = "started_with"  # user attribute of the study
ERROR, RESUMED = "error", "resumed"  # user attributes of a trial


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A trial that no other process works on while this one holds its lock."""

    trial: optuna.Trial
    directory: Path
    held: AcquireReturnProxy[FileLock]
    """the trial's lock, acquired already; a context manager whose end releases it"""
    resumed: bool
    """It was begun by a process that was stopped."""
    reported: Set[int]
    """Epochs, counted from one, already reported to the study."""


class SharedStudy:
    def __init__(self, directory: Path, config: TuneConfig, space: SearchSpace) -> None:
        """Begin the study in `directory`, or resume the one that is there.

        Raises:
            ConfigError: it was begun with another configuration, or its file is damaged.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.directory, self.space, self.search, self.seed = directory, space, config.tune, config.seed
        # The operating system lets go of these locks when a process dies; optuna's own would hold the others up.
        self._lock = FileLock(directory / LOCK)
        journal_lock = cast(Any, FileLock(directory / f"{JOURNAL}{LOCK}"))
        with self._lock:
            try:
                self.study = optuna.create_study(
                    storage=JournalStorage(JournalFileBackend(str(directory / JOURNAL), lock_obj=journal_lock)),
                    study_name="study",
                    direction="maximize",
                    pruner=pruner(config.tune),
                    load_if_exists=True,
                )
            except ValueError as error:  # Optuna tolerates a last line that was cut by a kill, and no other
                another = "tune.study=<another name> begins a new study"
                raise ConfigError(f"{directory / JOURNAL}: damaged: {error}; {another}") from error
            settings = {name: value for name, value, _ in leaves(config) if not name.startswith("tune.")}
            settings |= {f"tune.space: {key}": expression for key, expression in space.expressions.items()}
            before = self.study.user_attrs.get(STARTED_WITH)
            if before is None:
                self.study.enqueue_trial(space.first(), skip_if_exists=True)
                self.study.set_user_attr(STARTED_WITH, settings)
            else:
                _refuse_changes(settings, before)

    @property
    def trials(self) -> list[FrozenTrial]:
        """Those with all their parameters drawn: waiting ones have none, one killed while drawing has some."""
        every = self.study.get_trials(deepcopy=False)
        return [trial for trial in every if trial.params.keys() == self.space.distributions.keys()]

    def claim(self, most: int = 1) -> list[Claim]:
        """Trials for this process to train together, at most `most`.

        First those of one proposal (see `proposal_of`) that a dead process left unfinished; if there are none, new
        ones.
        """
        with self._lock:
            if left := self._left_over(most):
                return left
            count = len(self.trials)
            due = range(count, min(count + most, self.search.trials))
            return [self._draw(number, proposal=count) for number in due]

    def _left_over(self, most: int) -> list[Claim]:
        claims: list[Claim] = []
        for left in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            whole = left.params.keys() == self.space.distributions.keys()
            if len(claims) == most or (claims and whole and proposal_of(left) != proposal_of(claims[0].trial)):
                continue
            try:
                held = self._lock_of(left.number).acquire(blocking=False)
            except Timeout:  # another process is at work on it
                continue
            if whole:
                # A private name of Optuna, which has no public way to continue a trial of another process.
                trial = optuna.Trial(self.study, left._trial_id)
                trial.set_user_attr(RESUMED, True)
                claims.append(self._claim(trial, held, resumed=True, reported=set(left.intermediate_values)))
            else:
                self.study.tell(left.number, state=TrialState.FAIL)
                held.__exit__(None, None, None)
        return claims

    def _draw(self, number: int, proposal: int) -> Claim:
        """Draw a trial.

        Args:
            number: how many trials were drawn before it.
            proposal: `number` of the first of the trials that are drawn together with it; see `proposal_of`.
        """
        # A function of the seed and of how many trials were drawn before: a search can be repeated.
        seed = np.random.SeedSequence((self.seed, number)).generate_state(1)[0]
        self.study.sampler = TPESampler(seed=int(seed), n_startup_trials=self.search.startup)
        trial = self.study.ask(self.space.distributions)
        trial.set_user_attr(PROPOSAL, proposal)
        return self._claim(trial, self._lock_of(trial.number).acquire())

    def _claim(
        self,
        trial: optuna.Trial,
        held: AcquireReturnProxy[FileLock],
        *,
        resumed: bool = False,
        reported: Set[int] = frozenset(),
    ) -> Claim:
        directory = self.directory / str(trial.number)
        return Claim(trial=trial, directory=directory, held=held, resumed=resumed, reported=reported)

    def _lock_of(self, number: int) -> FileLock:
        directory = self.directory / str(number)
        directory.mkdir(exist_ok=True)
        return FileLock(directory / LOCK)

    def complete(self, claim: Claim, accuracy: float) -> None:
        self.study.tell(claim.trial, accuracy)

    def prune(self, claim: Claim, error: str | None = None) -> None:
        """Ended early; `error` says why, if these settings made training fail, as when it diverges."""
        if error is not None:
            claim.trial.set_user_attr(ERROR, error)
        self.study.tell(claim.trial, state=TrialState.PRUNED)

    def fail(self, claim: Claim, error: str) -> None:
        claim.trial.set_user_attr(ERROR, error)
        self.study.tell(claim.trial, state=TrialState.FAIL)


def _refuse_changes(settings: dict[str, Any], before: dict[str, Any]) -> None:
    free = keys_where(may_change_on_resume) - keys_where(limits_run)  # trials stay comparable: all of one length
    # The first key that differs is named. In a section `name` comes first, then keys that may differ because of it.
    for key in dict.fromkeys([*settings, *before]):
        was, now = before.get(key, "left out"), settings.get(key, "left out")
        if was != now and key not in free:
            raise ConfigError(
                f"{key}: cannot change when a study is resumed; it was {was} at the start, got {now}; "
                "tune.study=<another name> begins a new one"
            )
