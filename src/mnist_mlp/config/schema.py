"""Every key of a training run: its type, its meaning, its limits. The YAML files under configs/ hold the values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mnist_mlp.config.declare import VARIANTS, key, section, variant

PACKAGE = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (PACKAGE.parents[1] / "configs" / "train.yaml").is_file()
# Installed by pip, the configuration lies in the package, and what runs leave goes below the current directory.
PROJECT = PACKAGE.parents[1] if IN_CHECKOUT else Path.cwd()
CONFIGS = PROJECT / "configs" if IN_CHECKOUT else PACKAGE / "configs"

ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu", "elu")
LOSSES = ("cross_entropy", "nll", "mse")
ENGINES = ("fast", "plain")
METRICS = ("acc", "f1")
PRECISIONS = ("32-true", "64-true", "bf16-true", "bf16-mixed")


@dataclass(kw_only=True)
class DataConfig:
    name: str = key("data set; change it by group: data=fashion_mnist", in_hparams=True)
    dir: str = key("folder that keeps the downloaded files", affects_result=False, path=True)
    path: str | None = key(
        "images of your own: a folder for data=folder, a file for data=npz", before=None, may_change=True, path=True
    )
    batch_size: int = key("images in one optimizer step", at_least=1, at_most=1_000_000, in_hparams=True)
    val_size: int = key("training images kept apart for validation, the same ones for every seed", at_least=10)
    mean: Any = key(
        "grey level in [0, 1] that the network takes as zero, or one for each channel; null: the training images' mean",
        at_least=0,
        at_most=1,
    )
    std: Any = key(
        "grey levels in [0, 1] that the network takes as one unit, or one for each channel; null: their deviation",
        above=0,
    )


@dataclass(kw_only=True)
class AugmentConfig:
    """How training images are changed at random; deformations by their standard deviations; all 0 changes nothing."""

    shift: float = key("of the shift along each axis, in pixels", at_least=0, at_most=14, per_member=True)
    rotation: float = key("of the angle, in degrees", at_least=0, at_most=45, per_member=True)
    scale: float = key("of the size along each axis, as a share of it", at_least=0, at_most=0.5, per_member=True)
    slant: float = key(
        "of the shift of a row, in pixels for each pixel above the centre", at_least=0, at_most=1, per_member=True
    )
    elastic: float = key(
        "of the displacement of a pixel by an elastic deformation, in pixels", at_least=0, at_most=5, per_member=True
    )
    smoothness: float = key(
        "width of the Gaussian that smooths an elastic deformation, in pixels", at_least=2, per_member=True
    )
    blank: float = key(
        "share of the pixels that are blanked out: dropout of the inputs", at_least=0, below=1, before=0.0
    )


@dataclass(kw_only=True)
class ModelConfig:
    name: str = key("network; change it by group: model=cnn", choices=VARIANTS["model"].keys(), before="mlp")
    activation: str = key("non-linearity after each hidden layer", choices=ACTIVATIONS, shown_first=True)
    dropout: float = key("probability of zeroing a hidden unit in training", at_least=0, below=1, per_member=True)
    loss: str = key(
        "cross_entropy on logits, nll on log-softmax, mse on probabilities",
        choices=LOSSES,
        per_member=True,
        shown_first=True,
    )
    label_smoothing: float = key(
        "share of the target spread over all classes in training; train/loss counts it, val/loss does not",
        at_least=0,
        below=1,
        per_member=True,
    )


@variant("model", "mlp")
@dataclass(kw_only=True)
class MLPConfig(ModelConfig):
    hidden: list[int] = key(
        "width of each hidden layer; [] is a linear classifier", at_least=1, at_most=100_000, shown_first=True
    )


@variant("model", "cnn")
@dataclass(kw_only=True)
class CNNConfig(ModelConfig):
    channels: list[int] = key(
        "output channels of each convolution, which halves height and width", at_least=1, at_most=10_000
    )
    hidden: list[int] = key("width of each fully connected hidden layer", at_least=1, at_most=100_000, shown_first=True)


@dataclass(kw_only=True)
class OptimizerConfig:
    name: str = key("algorithm; change it by group: optimizer=sgd", choices=VARIANTS["optimizer"].keys())
    lr: float = key("learning rate at the schedule's peak", above=0, per_member=True, shown_first=True)
    weight_decay: float = key("decoupled for adamw, an L2 penalty for adam and sgd", at_least=0, per_member=True)


@variant("optimizer", "adamw", "adam")
@dataclass(kw_only=True)
class AdamConfig(OptimizerConfig):
    betas: list[float] = key(
        "decay of the running mean and of the running square", at_least=0, below=1, per_member=True
    )
    eps: float = key("added to the root of the running square", above=0, per_member=True)


@variant("optimizer", "sgd")
@dataclass(kw_only=True)
class SGDConfig(OptimizerConfig):
    momentum: float = key("share of the last update that is kept", at_least=0, below=1, per_member=True)
    nesterov: bool = key("look ahead along the momentum")


@dataclass(kw_only=True)
class SchedulerConfig:
    independent_of_length: ClassVar[bool] = False
    """The learning rate of a step does not depend on how many steps follow: only then may a run be lengthened."""

    name: str = key(
        "shape; change it by group: scheduler=constant", choices=VARIANTS["scheduler"].keys(), per_member=True
    )


@variant("scheduler", "constant")
@dataclass(kw_only=True)
class ConstantConfig(SchedulerConfig):
    independent_of_length: ClassVar[bool] = True


@variant("scheduler", "one_cycle", "cosine")
@dataclass(kw_only=True)
class WarmupConfig(SchedulerConfig):
    warmup: float = key("share of all steps spent rising to optimizer.lr", at_least=0, below=1, per_member=True)
    start: float = key(
        "learning rate of the first step, as a share of optimizer.lr", above=0, at_most=1, per_member=True
    )
    end: float = key(
        "learning rate of the last step, as a share of optimizer.lr", at_least=0, at_most=1, per_member=True
    )


@dataclass(kw_only=True)
class AveragingConfig:
    decay: float = key(
        "share of the mean of the weights that a step keeps; 0 averages nothing", at_least=0, below=1, per_member=True
    )


@dataclass(kw_only=True)
class CalibrationConfig:
    risk: float = key(
        "share of wrong answers that the refusal threshold allows, on validation",
        at_least=0,
        at_most=1,
        per_member=True,
    )
    ood_detector: bool = key(
        "learn from made outliers what to refuse, instead of by the free energy", before=False, per_member=True
    )


@dataclass(kw_only=True)
class TrainerConfig:
    """Keyword arguments of `lightning.Trainer`, with its names and meanings; a *batch* is one optimizer step."""

    accelerator: str = key("where to compute", choices=("auto", "cpu", "gpu", "cuda", "mps"), may_change=True)
    devices: Any = key(
        "processes on each node: a number, numbers of devices as [0,1], or auto: with ddp every GPU", may_change=True
    )
    num_nodes: int = key("machines; more than one need torchrun or srun", at_least=1, before=1, may_change=True)
    strategy: str = key(
        "how devices share each batch; auto: ddp where there are several", choices=("auto", "ddp"), may_change=True
    )
    precision: str = key("number format", choices=PRECISIONS)
    max_epochs: int = key(
        "passes over the training images",
        at_least=0,
        run_limit="steps",
        may_change=True,
        in_hparams=True,
        by_engine=True,
    )
    max_steps: int = key(
        "stop after this many optimizer steps; -1 is no limit",
        at_least=-1,
        run_limit="steps",
        may_change=True,
        in_hparams=True,
        by_engine=True,
    )
    max_time: str | None = key(
        "stop after this time, as DD:HH:MM:SS", run_limit="seconds", may_change=True, in_hparams=True
    )
    min_epochs: int | None = key("passes to make before a time limit may stop the run", at_least=0)
    min_steps: int | None = key("optimizer steps to make before a time limit may stop the run", at_least=0)
    limit_train_batches: int | float = key(
        "batches (int) or share (float) of an epoch to train on", at_least=0, count_or_share=True, by_engine=True
    )
    limit_val_batches: int | float = key(
        "batches (int) or share (float) of validation to use", at_least=0, count_or_share=True, by_engine=True
    )
    limit_test_batches: int | float = key(
        "batches (int) or share (float) of the test set to use", at_least=0, count_or_share=True, by_engine=True
    )
    overfit_batches: int | float = key(
        "train and validate on these few batches only; 0 is off", at_least=0, count_or_share=True, by_engine=True
    )
    fast_dev_run: int | bool = key(
        "run this many batches of everything, to see that it works", at_least=0, by_engine=True
    )
    val_check_interval: int | float = key(
        "validate every so many batches (int) or share of an epoch", above=0, count_or_share=True, by_engine=True
    )
    check_val_every_n_epoch: int = key("validate after every so many epochs", at_least=1)
    num_sanity_val_steps: int = key("validation batches to try before training", at_least=-1)
    log_every_n_steps: int = key("optimizer steps between two logged points", at_least=1, by_engine=True)
    enable_progress_bar: bool = key("draw a progress bar on a terminal", affects_result=False)
    enable_model_summary: bool = key("print the table of layers", affects_result=False)
    accumulate_grad_batches: int = key(
        "batches to average in one optimizer step", at_least=1, at_most=1_000_000, by_engine=True
    )
    gradient_clip_val: float | None = key("largest gradient norm (or value) let through", above=0, by_engine=True)
    gradient_clip_algorithm: str = key("what the limit applies to", choices=("norm", "value"), by_engine=True)
    deterministic: bool = key("refuse operations that have no deterministic form")
    benchmark: bool = key("let cuDNN choose its kernels by timing them")
    detect_anomaly: bool = key("name the operation that made a gradient NaN (slow)")
    profiler: str | None = key("print where the time goes", choices=("simple", "advanced"), affects_result=False)


@dataclass(kw_only=True)
class LoggerConfig:
    tensorboard: bool = key(
        "event files under tensorboard/ in the run directory", per_member=True, affects_result=False
    )
    csv: bool = key("one table under csv/ in the run directory", per_member=True, affects_result=False)
    mlflow: bool = key(
        "a database, outputs/mlflow.db; needs the package mlflow", before=False, per_member=True, affects_result=False
    )
    wandb: bool = key(
        "offline records under wandb/ in the run directory; needs the package wandb", before=False, affects_result=False
    )


@dataclass(kw_only=True)
class DashboardConfig:
    snapshots: int = key(
        "times that pictures and histograms go to TensorBoard, spread evenly over the epochs; 0: none",
        at_least=0,
        before=0,
        per_member=True,
        affects_result=False,
    )


@dataclass(kw_only=True)
class CheckpointConfig:
    every_seconds: float = key(
        "seconds between two saves inside an epoch; each epoch's end saves too", above=0, affects_result=False
    )
    monitor: str = key("metric of validation that decides which checkpoint is the best", before="val/acc")
    mode: str = key("whether the best is the largest or the smallest", choices=("max", "min"), before="max")


@dataclass(kw_only=True)
class EarlyStoppingConfig:
    patience: int | None = key(
        "validations without improvement that end the run; null: off", at_least=1, per_member=True
    )
    monitor: str = key("metric that has to improve: val/loss, val/acc, ...", per_member=True)
    mode: str = key("whether it improves by falling or by rising", choices=("min", "max"), per_member=True)
    min_delta: float = key("change that counts as an improvement", at_least=0, per_member=True)


@dataclass(kw_only=True)
class CallbacksConfig:
    early_stopping: EarlyStoppingConfig
    own: dict[str, Any] = key("callbacks of one's own: `file.Class` in mnist_mlp/callbacks/, and its arguments")


@dataclass(kw_only=True)
class Config:
    """One training run, as configs/train.yaml composes it."""

    seed: int = key(
        "initial weights, order of the images and noise follow from it",
        at_least=0,
        below=2**32,
        per_member=True,
        stackable=True,
        in_hparams=True,
        shown_first=True,
    )
    threads: int | None = key(
        "CPU threads; null: one for a small step, all cores for a large one", at_least=1, stackable=True
    )
    engine: str = key("fast: mnist_mlp.engine; plain: Lightning's own loop", choices=ENGINES, stackable=True)
    metrics: list[str] = key("metrics beside the loss", choices=METRICS, stackable=True)
    resume: str | None = key(
        "a run directory to go on with, or a sweep's directory to finish",
        affects_result=False,
        path=True,
        per_member=True,
        stackable=True,
    )
    data: DataConfig = section(stackable=True)
    augment: AugmentConfig = section(stackable=True, in_hparams=True)
    model: ModelConfig = section(stackable=True, in_hparams=True)
    optimizer: OptimizerConfig = section(stackable=True, in_hparams=True)
    scheduler: SchedulerConfig = section(stackable=True, in_hparams=True)
    averaging: AveragingConfig = section(stackable=True, in_hparams=True)
    calibration: CalibrationConfig = section(stackable=True)
    trainer: TrainerConfig = section(stackable=True)
    callbacks: CallbacksConfig = section(stackable=True)
    logger: LoggerConfig = section(stackable=True)
    dashboard: DashboardConfig = section(stackable=True, before=DashboardConfig)
    checkpoint: CheckpointConfig = section(stackable=True)
