"""The search: trials one by one, or side by side in stacks, until the study has enough; each leaves an ordinary run."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from mnist_mlp.cli.console import LogFile
from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.compose import parse
from mnist_mlp.config.errors import ConfigError, DivergedError, Interrupted, Pruned, SearchError, UserError
from mnist_mlp.config.schema import Config
from mnist_mlp.data.run_length import limit_batches
from mnist_mlp.data.sources import load
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.engine.common_checkpoints import group_by_saved_step
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.train_stack import gc_frozen, train_stack
from mnist_mlp.extras.stacked_launcher.grouping import differing, numbers, stackable_groups
from mnist_mlp.extras.tuning.helpers import helped, helper_count, is_helper, stop_with_parent
from mnist_mlp.extras.tuning.report import report, trial_line
from mnist_mlp.extras.tuning.space import SearchSpace
from mnist_mlp.extras.tuning.study import Claim, SharedStudy
from mnist_mlp.extras.tuning.trial_pruning import Pruning
from mnist_mlp.runs import directories
from mnist_mlp.runs.checkpoint_file import LAST, PREVIOUS
from mnist_mlp.runs.signals import interruptible
from mnist_mlp.runs.thinning import summary_line, thin

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Trial:
    claim: Claim
    job: Job
    settings: Sequence[str]
    """The overrides that were drawn for this trial, without the sections of their keys, for the terminal."""


def search(config: TuneConfig, directory: Path, space: SearchSpace) -> str:
    """Work on the study in `directory` until it has `config.tune.trials` trials; a report of what was found.

    Trials are judged by validation accuracy; the test set is not touched.

    Raises:
        SearchError: every trial failed, as on a full disk.
    """
    study = SharedStudy(directory, config, space)
    _refuse_changed_images(study, config)
    if space.left_out and not is_helper():
        log.info("not searched, as the chosen sections lack them: %s", ", ".join(space.left_out))
    others = helper_count(config)
    at_once = ceil(config.tune.stack / (others + 1))  # `tune.stack` counts over all processes
    try:
        with gc_frozen():
            if is_helper():
                stop_with_parent()
            with interruptible(), helped(0 if is_helper() else others):
                _work(study, at_once)
            _work(study, at_once)  # finish the trials of helpers that have died
    except (Interrupted, KeyboardInterrupt):  # its trials keep the state RUNNING, by which the next start finds them
        if not is_helper():
            log.info(_report(study, config))
        raise
    if is_helper():
        return ""
    found = _report(study, config)
    if all(trial.state == TrialState.FAIL for trial in study.trials):
        log.info(found)
        raise SearchError("every trial failed, for the reasons above")
    return found


def _refuse_changed_images(study: SharedStudy, config: TuneConfig) -> None:
    """Raise ConfigError if images of one's own have changed since the first trials: they cannot be compared."""
    if config.data.path is None:
        return
    for trial in study.trials:
        if sha256 := directories.read(study.directory / str(trial.number)).result.get("data_sha256"):
            load(config.data, sha256=sha256)
            return


def _work(study: SharedStudy, at_once: int) -> None:
    while claims := study.claim(at_once):
        with ExitStack() as held:
            for claim in claims:
                held.enter_context(claim.held)
            _run(study, claims)


def _report(study: SharedStudy, config: TuneConfig) -> str:
    words = report(study, _validation_images(config))
    if (keep := config.sweep.keep) == "all":
        return words
    thinned = [trial.number for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    line = summary_line(keep, [study.directory / str(number) for number in thinned], what="trial")
    return f"{words}\n{line}"


def _validation_images(config: TuneConfig) -> int:
    """How many images a validation looks at."""
    size, batch_size = config.data.val_size, config.data.batch_size
    batches = limit_batches(config.trainer.limit_val_batches, ceil(size / batch_size))
    return min(batches * batch_size, size)


def _run(study: SharedStudy, claims: Sequence[Claim]) -> None:
    trials = [trial for claim in claims if (trial := _begin(study, claim)) is not None]
    groups, alone = stackable_groups([trial.job for trial in trials])
    stacks = [part for group in groups for part in _stacks_that_resume_together(group)] + [[job] for job, _ in alone]
    if len(trials) > 1:
        shapes = differing([trial.job for trial in trials])
        words = f"in {len(stacks)} stacks, as they differ in {', '.join(shapes)}" if shapes else "side by side"
        log.info("trials %s  %s", numbers([trial.job for trial in trials]), words)
        for reason in dict.fromkeys(reason for _, reason in alone):
            log.info("trials %s  one by one: %s", numbers([job for job, why in alone if why == reason]), reason)
    for stack in stacks:
        together = {job.number for job in stack}
        _train(study, [trial for trial in trials if trial.job.number in together])
        gc.collect()  # the stack and its data set


def _stacks_that_resume_together(group: Sequence[Job]) -> list[list[Job]]:
    """The stacks of a group.

    If a kill left only some members with a first checkpoint, all begin anew: they are compared at the same epochs.
    """
    stacks = group_by_saved_step(group)
    # Without any previous checkpoint the kill came during the first save, and some members have no checkpoint. With
    # one, all members have saved, and if they are several stacks, a checkpoint is damaged.
    checkpoints = [job.directory / directories.CHECKPOINTS for job in group]
    if len(stacks) == 1 or any((directory / PREVIOUS).exists() for directory in checkpoints):
        return stacks
    for directory in checkpoints:
        (directory / LAST).unlink(missing_ok=True)
    return [list(group)]


def _begin(study: SharedStudy, claim: Claim) -> Trial | None:
    """The trial; None if its configuration is invalid, or it had already ended."""
    number, overrides = claim.trial.number, study.space.overrides(claim.trial.params)
    settings = [given[given.rfind(".", 0, given.index("=")) + 1 :] for given in overrides[len(study.space.fixed) :]]
    try:
        composed = study.space.composed(overrides)
        config = parse(composed, Config)
        require_machine(config)
    except ConfigError as error:  # of this combination; the next one may be sound
        study.fail(claim, str(error))
        log.info(trial_line(study, number, f"failed: {error}", settings))
        return None
    _leave_record(claim.directory, composed, overrides)
    if claim.resumed:
        config = replace(config, resume=str(claim.directory))
    job = Job(number=number, config=config, directory=claim.directory, logging=_log_file(claim.directory))
    trial = Trial(claim=claim, job=job, settings=settings)
    if claim.resumed:
        if _settle(study, trial):
            return None
        log.info("trial %3d  resumes after epoch %d", number, max(claim.reported, default=0))
    return trial


def _train(study: SharedStudy, trials: Sequence[Trial]) -> None:
    """Train a stack of trials, or one alone, and report the results to the study."""
    pruning = [[Pruning(trial.claim.trial, trial.claim.reported)] for trial in trials]
    error: UserError | None = None
    try:
        with _logging_to(trials[0].claim.directory if len(trials) == 1 else None):
            train_stack([trial.job for trial in trials], callbacks=pruning, test=False)
    except Pruned:  # of a trial alone; its result says so
        pass
    except UserError as ended_all:  # such as a full disk
        error = ended_all
    except Exception as bug:
        for trial in trials:
            study.fail(trial.claim, str(bug))
        raise
    for trial in trials:
        if not _settle(study, trial):
            reason = error or directories.read(trial.claim.directory).result.get("error")
            study.fail(trial.claim, str(reason))
            log.info(trial_line(study, trial.claim.trial.number, f"failed: {reason}", trial.settings))


def _settle(study: SharedStudy, trial: Trial) -> bool:
    """Report the trial's result to the study; returns whether the trial has ended.

    Raises:
        UserError: no epoch of it was validated.
    """
    claim, result = trial.claim, directories.read(trial.claim.directory).result
    status, error = result.get("status"), str(result.get("error"))
    kind, _, reason = error.partition(": ")
    # Files of a trial are deleted before the study counts it as ended: after a kill in between, it is settled again.
    keep = trial.job.config.sweep.keep
    if status == directories.COMPLETED:
        accuracy = result["metrics"]["val/acc"]
        if accuracy is None:
            reason = "a search needs validation, and no epoch of the trial was validated"
            study.fail(claim, reason)
            raise UserError(reason)
        study.complete(claim, accuracy)
        outcome = f"{accuracy:.2%}"
    elif status == directories.INTERRUPTED and error.startswith(Pruned.WORD):
        thin(claim.directory, keep)
        study.prune(claim)
        outcome = error
    elif status == directories.FAILED and kind == DivergedError.__name__:
        # Pruned, not failed: the sampler ignores failed trials, and this one tells it as much as a poor accuracy does.
        thin(claim.directory, keep)
        study.prune(claim, reason)
        outcome = f"diverged: {reason}"
    elif status == directories.FAILED and kind == ConfigError.__name__:
        study.fail(claim, reason)
        outcome = f"failed: {reason}"
    else:
        return False
    log.info(trial_line(study, claim.trial.number, outcome, trial.settings))
    return True


def _leave_record(directory: Path, composed: DictConfig, overrides: list[str]) -> None:
    """What Hydra itself writes down at the start of a run."""
    record = directory / ".hydra"
    record.mkdir(exist_ok=True)
    OmegaConf.save(composed, record / "config.yaml")
    OmegaConf.save(OmegaConf.create(overrides), record / "overrides.yaml")


FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _log_file(directory: Path) -> dict[str, Any]:
    """train.log of one trial, as `logging.config.dictConfig` takes it."""
    file = {"class": "mnist_mlp.cli.console.LogFile", "filename": str(directory / "train.log"), "formatter": "line"}
    return {
        "version": 1,
        "formatters": {"line": {"format": FORMAT}},
        "handlers": {"file": file},
        "root": {"level": "INFO", "handlers": ["file"]},
        "disable_existing_loggers": False,
    }


@contextmanager
def _logging_to(directory: Path | None) -> Iterator[None]:
    """What training logs goes to train.log in `directory`, and not to the console, which keeps one line a trial.

    For a stack (None), each member's messages go only to its own train.log.
    """
    handler = LogFile(directory / "train.log") if directory else logging.NullHandler()
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    others, root.handlers = root.handlers, [handler]
    try:
        yield
    finally:
        root.handlers = others
        handler.close()
