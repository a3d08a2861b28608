"""Where a run's scalars go, and that a run which goes on has one record there."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from mnist_mlp.config.schema import PROJECT, Config


def build_loggers(config: Config, directory: Path, again_from: int | None) -> list[Logger]:
    """The loggers of the section `logger`; what a stopped run logged from the step `again_from` on is logged again."""
    loggers: list[Logger] = []
    if config.logger.tensorboard:
        loggers.append(
            TensorBoardLogger(directory, name="", version="tensorboard", default_hp_metric=False, purge_step=again_from)
        )
    if config.logger.csv:
        loggers.append(_csv_logger(directory, again_from or 0))
    if config.logger.mlflow:
        record = directory / "mlflow" / "id"
        store = f"sqlite:///{PROJECT / 'outputs' / 'mlflow.db'}"
        logger: Logger = MLFlowLogger(
            "mnist-mlp", run_name=directory.name, tracking_uri=store, run_id=_known_id(record)
        )
        loggers.append(_recording(logger, config, record))
    if config.logger.wandb:
        import wandb

        wandb.finish()  # or Lightning would write on in the record of an earlier run of this process
        record = directory / "wandb" / "id"
        logger = WandbLogger(
            directory.name, save_dir=directory, offline=True, project="mnist-mlp", id=_known_id(record)
        )
        loggers.append(_recording(logger, config, record))
    return loggers


def _known_id(record: Path) -> str | None:
    """The id under which a logger keeps this run, if it does so already: a run that goes on has one record."""
    return record.read_text().strip() if record.exists() else None


def _recording(logger: Logger, config: Config, record: Path) -> Logger:
    """`logger`, which has the configuration from the beginning of its record, with the id left in the file `record`."""
    if not record.exists():
        logger.log_hyperparams(asdict(config))
        if id_of_record := logger.version:  # of several processes, only the first one has a record
            record.parent.mkdir(exist_ok=True)
            record.write_text(f"{id_of_record}\n")
    return logger


def _csv_logger(directory: Path, again_from: int) -> CSVLogger:
    """Goes on with the table that is there, up to the step `again_from`; Lightning's own would delete it."""
    try:
        lines = (directory / "csv" / "metrics.csv").read_text().splitlines()
    except FileNotFoundError:  # not there yet, or with the first of several processes already
        lines = []
    kept: list[dict[str, Any]] = [row for row in csv.DictReader(lines) if int(row["step"]) < again_from]
    # Every row at once: a run that is killed has no later chance to write.
    logger = CSVLogger(directory, name="", version="csv", flush_logs_every_n_steps=1)
    if kept:
        logger.experiment.metrics = kept
    return logger


def log_final(loggers: Sequence[Logger], metrics: dict[str, float | None], step: int) -> None:
    """The metrics of the best checkpoint, by which loggers can sort runs."""
    final = {f"final/{name}": value for name, value in metrics.items() if value is not None}
    for logger in loggers:
        logger.log_metrics(final, step=step)
        logger.finalize("success")
