"""Loggers of Lightning for the section `logger`; a resumed run continues what it logged in each of them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from mnist_mlp.config.schema import PROJECT, Config
from mnist_mlp.runs.atomic_write import replacing
from mnist_mlp.runs.run_name import folder_name, run_name

log = logging.getLogger(__name__)


def build_loggers(config: Config, directory: Path, purge_step: int | None) -> list[Logger]:
    """The loggers of the section `logger`.

    Args:
        purge_step: the first step, counted from 1, that is logged again; TensorBoard and CSV drop entries from it on.
    """
    loggers: list[Logger] = []
    if config.logger.tensorboard:
        loggers.append(_tensorboard_logger(directory, purge_step))
    if config.logger.csv:
        loggers.append(_csv_logger(directory, purge_step or 0))
    if config.logger.mlflow:
        id_file = directory / "mlflow" / "id"
        store = f"sqlite:///{PROJECT / 'outputs' / 'mlflow.db'}"
        logger: Logger = MLFlowLogger(
            "mnist-mlp", run_name=directory.name, tracking_uri=store, run_id=_known_id(id_file)
        )
        loggers.append(_recording(logger, config, id_file))
    if config.logger.wandb:
        import wandb

        wandb.finish()  # else Lightning would continue that of an earlier run in this process
        id_file = directory / "wandb" / "id"
        logger = WandbLogger(
            directory.name, save_dir=directory, offline=True, project="mnist-mlp", id=_known_id(id_file)
        )
        loggers.append(_recording(logger, config, id_file))
    return loggers


class TaggedForTensorBoard(TensorBoardLogger):
    """TensorBoardLogger with tags in an order that begins with accuracy and loss, training beside validation."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:  # type: ignore[override]
        super().log_metrics({tensorboard_tag(name): value for name, value in metrics.items()}, step)


def tensorboard_tag(name: str) -> str:
    """The tag for a metric: `accuracy/val` for `val/acc`, `loss/train_step` for `train/loss_step`.

    TensorBoard groups tags by their first word, and sorts them.
    """
    first, _, rest = name.partition("/")
    if first == "final":
        return f"result/{rest}"
    if name in ("lr", "gradient_norm", "images_per_second"):
        return f"optimizer/{name}"
    if first not in ("train", "val"):
        return name
    metric = rest.removesuffix("_step")
    return f"{'accuracy' if metric == 'acc' else metric}/{first}{rest.removeprefix(metric)}"


def _tensorboard_logger(directory: Path, purge_step: int | None) -> TensorBoardLogger:
    """TensorBoardLogger in tensorboard/<overrides>: TensorBoard shows the folder's name as the name of the run."""
    place = directory / "tensorboard"
    in_place = any(place.glob("events*"))  # begun by an older version
    return TaggedForTensorBoard(
        directory,
        name="",
        version=place.name,
        sub_dir=None if in_place else folder_name(run_name(directory)) or None,
        default_hp_metric=False,
        purge_step=purge_step,
    )


def _known_id(id_file: Path) -> str | None:
    """The id of this run in a logger's database, if it was resumed."""
    return (id_file.read_text().strip() or None) if id_file.exists() else None


def _recording(logger: Logger, config: Config, id_file: Path) -> Logger:
    """When MLflow or W&B begins a run of its own, log the configuration, and save the id of that run in `id_file`.

    So a resumed run continues it.
    """
    if _known_id(id_file) is None:
        logger.log_hyperparams(asdict(config))
        if run_id := logger.version:  # None on ranks above 0
            id_file.parent.mkdir(exist_ok=True)
            with replacing(id_file) as draft:
                draft.write_text(f"{run_id}\n")
    return logger


def _csv_logger(directory: Path, purge_step: int) -> CSVLogger:
    """A CSVLogger that keeps the rows before the step `purge_step`; Lightning's own would delete all of them."""
    kept = [row for row in _whole_rows(directory / "csv" / "metrics.csv") if int(row["step"]) < purge_step]
    # Flush every row: a run may be killed.
    logger = CSVLogger(directory, name="", version="csv", flush_logs_every_n_steps=1)
    if kept:
        logger.experiment.metrics = kept
        logger.save()  # Lightning has deleted the file
    return logger


def _whole_rows(table: Path) -> list[dict[str, Any]]:
    """The rows of a table of metrics, without those that a killed run left incomplete."""
    try:
        text = table.read_text("utf-8", errors="replace")
    except FileNotFoundError:  # a new run; on ranks above 0 the file may not be there
        return []
    rows = list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))
    whole = [row for row in rows if None not in row and str(row.get("step")).isdecimal() and None not in row.values()]
    if text and (len(whole) < len(rows) or not text.endswith("\n")):
        log.warning("%s: left out incomplete rows of a killed run", table)
    return whole


def log_final(loggers: Sequence[Logger], metrics: dict[str, float | None], step: int) -> None:
    """Log the metrics of the best checkpoint as `final/...`, so that loggers can sort runs by them."""
    final = {f"final/{name}": value for name, value in metrics.items() if value is not None}
    for logger in loggers:
        logger.log_metrics(final, step=step)
        logger.finalize("success")
