"""Schema of the section `trainer`: keyword arguments of `lightning.Trainer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_mlp.config.declare import key

PRECISIONS = ("32-true", "64-true", "bf16-true", "bf16-mixed")


@dataclass(kw_only=True)
class TrainerConfig:
    """Keyword arguments of `lightning.Trainer`, with its names.

    For training, a "batch" in these keys is one optimizer step: `accumulate_grad_batches` batches of `data.batch_size`
    images. For validation and test it is one batch of `data.batch_size` images. Exception: with engine=fast,
    `num_sanity_val_steps` counts batches of 2,500 images of 28 x 28, or of fewer larger ones.
    """

    accelerator: str = key(
        "device to train on",
        choices=("auto", "cpu", "gpu", "cuda", "mps"),
        may_change_on_resume=True,
        not_passed_on=True,
    )
    devices: Any = key(
        "processes on each node: a number, device indices as [0,1], or auto: one per GPU if strategy=ddp, else one",
        may_change_on_resume=True,
        not_passed_on=True,
    )
    num_nodes: int = key(
        "machines; more than one needs torchrun or srun", at_least=1, legacy_default=1, may_change_on_resume=True
    )
    strategy: str = key(
        "how processes share each batch; auto: ddp if trainer.devices or trainer.num_nodes asks for several",
        choices=("auto", "ddp"),
        may_change_on_resume=True,
        not_passed_on=True,
    )
    precision: str = key("floating-point precision", choices=PRECISIONS)
    max_epochs: int = key(
        "epochs to train",
        at_least=0,
        at_most=1_000_000_000,
        run_limit="steps",
        may_change_on_resume=True,
        in_hparams=True,
        not_passed_on=True,
    )
    max_steps: int = key(
        "stop after this many optimizer steps; -1: no limit",
        at_least=-1,
        at_most=1_000_000_000_000,
        run_limit="steps",
        may_change_on_resume=True,
        in_hparams=True,
        not_passed_on=True,
    )
    max_time: str | None = key(
        "stop after this time, as DD:HH:MM:SS", run_limit="seconds", may_change_on_resume=True, in_hparams=True
    )
    min_epochs: int | None = key("epochs before a time limit or early stopping may end the run", at_least=0)
    min_steps: int | None = key("optimizer steps before a time limit or early stopping may end the run", at_least=0)
    limit_train_batches: int | float = key(
        "number (int) or fraction (float) of the training batches per epoch",
        at_least=0,
        count_or_share=True,
        not_passed_on=True,
    )
    limit_val_batches: int | float = key(
        "number (int) or fraction (float) of the validation batches",
        at_least=0,
        count_or_share=True,
        not_passed_on=True,
    )
    limit_test_batches: int | float = key(
        "number (int) or fraction (float) of the test batches", at_least=0, count_or_share=True, not_passed_on=True
    )
    overfit_batches: int | float = key(
        "train and validate on these few batches only; 0: off", at_least=0, count_or_share=True, not_passed_on=True
    )
    fast_dev_run: int | bool = key(
        "run this many batches of training, validation and test, as a check", at_least=0, not_passed_on=True
    )
    val_check_interval: int | float = key(
        "validate every so many batches (int), or after this fraction (float) of an epoch",
        above=0,
        count_or_share=True,
        not_passed_on=True,
    )
    check_val_every_n_epoch: int = key("validate every n epochs", at_least=1)
    num_sanity_val_steps: int = key("validation batches to run before training, as a check", at_least=-1)
    log_every_n_steps: int = key("optimizer steps between two points in the loggers", at_least=1, not_passed_on=True)
    enable_progress_bar: bool = key("draw a progress bar on a terminal", affects_result=False, not_passed_on=True)
    enable_model_summary: bool = key("print the table of layers", affects_result=False)
    accumulate_grad_batches: int = key(
        "batches to average in one optimizer step; computed as one larger batch, so it saves no memory",
        at_least=1,
        at_most=1_000_000,
        not_passed_on=True,
    )
    gradient_clip_val: float | None = key(
        "clip gradients to this norm (or value); null: no clipping", above=0, not_passed_on=True
    )
    gradient_clip_algorithm: str = key(
        "whether to clip the norm of all gradients, or each value", choices=("norm", "value"), not_passed_on=True
    )
    deterministic: bool | str = key(
        "true: an error for an operation without a deterministic implementation; warn: a warning; false: no check"
    )
    benchmark: bool = key("let cuDNN choose its kernels by timing them")
    detect_anomaly: bool = key("name the operation that made a gradient NaN (slow)")
    profiler: str | None = key("print where the time goes", choices=("simple", "advanced"), affects_result=False)
