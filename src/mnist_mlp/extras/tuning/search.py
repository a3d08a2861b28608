"""The search: trial after trial until the study has enough of them, each an ordinary run in its own directory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.errors import ConfigError, DivergedError, Interrupted, Pruned, UserError
from mnist_mlp.config.parsing import parse
from mnist_mlp.config.schema import Config
from mnist_mlp.extras.tuning.report import report, trial_line
from mnist_mlp.extras.tuning.space import SearchSpace, compose_trial
from mnist_mlp.extras.tuning.study import Claim, SharedStudy
from mnist_mlp.extras.tuning.trial_pruning import Pruning
from mnist_mlp.training import train

log = logging.getLogger(__name__)


def search(config: TuneConfig, directory: Path, space: SearchSpace) -> str:
    """Work on the study in `directory` until it has `config.tune.trials` trials; a report of what was found.

    Trials are judged by validation accuracy; the test set is not touched.
    """
    study = SharedStudy(directory, config, space)
    try:
        while (claim := study.claim()) is not None:
            with claim.held:
                _run(study, claim)
    except (Interrupted, KeyboardInterrupt):  # the trial stays begun, and the next start goes on with it
        log.info(report(study, config.data.val_size))
        raise
    return report(study, config.data.val_size)


def _run(study: SharedStudy, claim: Claim) -> None:
    overrides = study.space.overrides(claim.trial.params)
    name = f"trial {claim.trial.number:>3}"
    if claim.goes_on:
        log.info("%s  goes on after epoch %d", name, max(claim.reported, default=0))
    try:
        composed = compose_trial(overrides)
        config = parse(composed, Config)
        _leave_record(claim.directory, composed, overrides)
        if claim.goes_on:
            config = replace(config, resume=str(claim.directory))
        with _log_in(claim.directory):
            result = train(config, claim.directory, callbacks=[Pruning(claim.trial, claim.reported)], test=False)
        accuracy = result.metrics["val/acc"]
        if accuracy is None:
            raise UserError("a search needs validation, and no epoch of the trial was validated")
        study.complete(claim, accuracy)
        outcome = f"{accuracy:.2%}"
    except Pruned as pruned:
        study.prune(claim)
        outcome = str(pruned)
    except DivergedError as error:  # tells the sampler as much as a poor accuracy
        study.prune(claim, error)
        outcome = f"diverged: {error}"
    except ConfigError as error:  # of this combination; the next one may be sound
        study.fail(claim, error)
        outcome = f"failed: {error}"
    except Exception as error:
        study.fail(claim, error)
        raise
    drawn = [word[word.rfind(".", 0, word.index("=")) + 1 :] for word in overrides[len(study.space.fixed) :]]
    log.info(trial_line(study, claim.trial.number, outcome, drawn))


def _leave_record(directory: Path, composed: DictConfig, overrides: list[str]) -> None:
    """What Hydra itself writes down at the start of a run."""
    record = directory / ".hydra"
    record.mkdir(exist_ok=True)
    OmegaConf.save(composed, record / "config.yaml")
    OmegaConf.save(OmegaConf.create(overrides), record / "overrides.yaml")


@contextmanager
def _log_in(directory: Path) -> Iterator[None]:
    """Everything that training says goes into train.log of the trial; the console keeps one line a trial."""
    handler = logging.FileHandler(directory / "train.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    others, root.handlers = root.handlers, [handler]
    try:
        yield
    finally:
        root.handlers = others
        handler.close()
