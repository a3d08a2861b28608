"""Schema of a training run: type, meaning and limits of every key. The values are in the YAML files in configs/.

Class `Key` in declare.py explains the properties of a key: `per_member` (networks that train together may differ in
it), `legacy_default` (its value in checkpoints that are older than the key), and the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mnist_mlp.config.declare import VARIANTS, key, section, variant
from mnist_mlp.config.schema_trainer import TrainerConfig

PACKAGE = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (PACKAGE.parents[1] / "configs" / "train.yaml").is_file()
# If installed by pip, configs/ is inside the package, and outputs go below the current directory.
PROJECT = PACKAGE.parents[1] if IN_CHECKOUT else Path.cwd()
CONFIGS = PROJECT / "configs" if IN_CHECKOUT else PACKAGE / "configs"

ACTIVATION_NAMES = ("relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu", "elu")
LOSS_NAMES = ("cross_entropy", "nll", "mse")
ENGINES = ("fast", "plain")
METRIC_KINDS = {"acc": (".2%", "max"), "f1": (".2%", "max")}  # format (.2% for a share), best value (max or min)
KEEP = ("all", "best", "results")


@dataclass(kw_only=True)
class DataConfig:
    name: str = key("data set; change it by group: data=fashion_mnist", in_hparams=True)
    dir: str = key("folder for the downloaded files", affects_result=False, path=True)
    path: str | None = key(
        "your own images: a folder for data=folder, a file for data=npz",
        legacy_default=None,
        may_change_on_resume=True,
        path=True,
        in_hparams=True,
    )
    batch_size: int = key(
        "images in one batch; an optimizer step uses trainer.accumulate_grad_batches batches",
        at_least=1,
        at_most=1_000_000,
        in_hparams=True,
    )
    val_size: int = key("training images held out for validation, the same ones for every seed", at_least=10)
    mean: Any = key(
        "mean for normalisation, of grey levels in [0, 1]: one number, or one per channel; null: computed",
        at_least=0,
        at_most=1,
    )
    std: Any = key("standard deviation for normalisation: one number, or one per channel; null: computed", above=0)


@dataclass(kw_only=True)
class AugmentConfig:
    """Augmentation: random changes of the training images. All 0 is no augmentation."""

    shift: float = key(
        "shift along each axis, in pixels: its standard deviation", at_least=0, at_most=14, per_member=True
    )
    rotation: float = key("rotation, in degrees: its standard deviation", at_least=0, at_most=45, per_member=True)
    scale: float = key(
        "relative change of size along each axis: its standard deviation", at_least=0, at_most=0.5, per_member=True
    )
    slant: float = key(
        "shear: horizontal shift in pixels for each pixel above the centre; its standard deviation",
        at_least=0,
        at_most=1,
        per_member=True,
    )
    elastic: float = key(
        "elastic displacement of a pixel, in pixels: its standard deviation", at_least=0, at_most=5, per_member=True
    )
    smoothness: float = key(
        "width of the Gaussian that smooths an elastic deformation, in pixels", at_least=2, at_most=100, per_member=True
    )
    blank: float = key(
        "fraction of the pixels set to zero: dropout of the inputs", at_least=0, below=1, legacy_default=0.0
    )


@dataclass(kw_only=True)
class ModelConfig:
    name: str = key("network; change it by group: model=cnn", choices=VARIANTS["model"].keys(), legacy_default="mlp")
    activation: str = key("non-linearity after each hidden layer", choices=ACTIVATION_NAMES, shown_by_default=True)
    dropout: float = key("probability of zeroing a hidden unit in training", at_least=0, below=1, per_member=True)
    loss: str = key(
        "cross_entropy on logits, nll on log-softmax, mse on probabilities",
        choices=LOSS_NAMES,
        per_member=True,
        shown_by_default=True,
    )
    label_smoothing: float = key(
        "fraction of the target spread over all classes, in the training loss; val/loss does not use it",
        at_least=0,
        below=1,
        per_member=True,
    )
    adversarial: float = key(
        "adversarial training: each image counts a second time, moved by this Euclidean distance (of grey levels in "
        "[0, 1]) to where the loss is largest; 0: off",
        at_least=0,
        legacy_default=0.0,
    )


@variant("model", "mlp")
@dataclass(kw_only=True)
class MLPConfig(ModelConfig):
    hidden: list[int] = key(
        "width of each hidden layer; [] is a linear classifier", at_least=1, at_most=100_000, shown_by_default=True
    )


@variant("model", "cnn")
@dataclass(kw_only=True)
class CNNConfig(ModelConfig):
    channels: list[int] = key(
        "output channels of each convolution; the pooling after it halves height and width", at_least=1, at_most=10_000
    )
    hidden: list[int] = key(
        "width of each fully connected hidden layer", at_least=1, at_most=100_000, shown_by_default=True
    )


@dataclass(kw_only=True)
class OptimizerConfig:
    name: str = key("algorithm; change it by group: optimizer=sgd", choices=VARIANTS["optimizer"].keys())
    lr: float = key("learning rate at the schedule's peak", above=0, per_member=True, shown_by_default=True)
    weight_decay: float = key("decoupled for adamw, an L2 penalty for adam and sgd", at_least=0, per_member=True)


@variant("optimizer", "adamw", "adam")
@dataclass(kw_only=True)
class AdamConfig(OptimizerConfig):
    betas: list[float] = key(
        "decay rates of the running means of the gradient and of its square", at_least=0, below=1, per_member=True
    )
    eps: float = key("added to the denominator, for numerical stability", above=0, per_member=True)


@variant("optimizer", "sgd")
@dataclass(kw_only=True)
class SGDConfig(OptimizerConfig):
    momentum: float = key("momentum", at_least=0, below=1, per_member=True)
    nesterov: bool = key("Nesterov momentum")


@dataclass(kw_only=True)
class SchedulerConfig:
    independent_of_length: ClassVar[bool] = False
    """Whether the learning rate of a step is the same for any length of the run: only then can a run be lengthened."""

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
    warmup: float = key("fraction of all steps for warm-up to optimizer.lr", at_least=0, below=1, per_member=True)
    start: float = key(
        "learning rate of the first step, as a multiple of optimizer.lr; not used by a warm-up of at most one step",
        above=0,
        at_most=1,
        per_member=True,
    )
    end: float = key(
        "learning rate of the last step, as a multiple of optimizer.lr", at_least=0, at_most=1, per_member=True
    )


@dataclass(kw_only=True)
class AveragingConfig:
    decay: float = key(
        "decay of the exponential moving average (EMA) of the weights; 0: no average",
        at_least=0,
        below=1,
        per_member=True,
    )


@dataclass(kw_only=True)
class CalibrationConfig:
    risk: float = key(
        "error rate, at most, among the images that are answered; an image whose highest class probability is below a "
        "threshold is marked as unsure, and the validation images decide the threshold",
        at_least=0,
        at_most=1,
        per_member=True,
    )
    ood_detector: bool | None = key(
        "true: fit a detector of out-of-distribution images, those that show no class, on synthetic outliers, in ten "
        "seconds; false: judge images by the free energy, -logsumexp of the logits; null: fit one in a second if the "
        "network is an MLP, the images are grey, 28 x 28, of the classes 0 to 9, and not synthetic, and the run is not "
        "in a stack; otherwise as false",
        legacy_default=False,
        per_member=True,
    )


@dataclass(kw_only=True)
class LoggerConfig:
    tensorboard: bool = key(
        "event files under tensorboard/ in the run directory", per_member=True, affects_result=False
    )
    csv: bool = key("a table under csv/ in the run directory", per_member=True, affects_result=False)
    mlflow: bool = key(
        "a database, outputs/mlflow.db; needs the package mlflow",
        legacy_default=False,
        per_member=True,
        affects_result=False,
    )
    wandb: bool = key(
        "offline records under wandb/ in the run directory; needs the package wandb",
        legacy_default=False,
        affects_result=False,
    )


@dataclass(kw_only=True)
class DashboardConfig:
    snapshots: int = key(
        "how many times during the run images and histograms are written to TensorBoard, spread evenly over the "
        "epochs; 0: never",
        at_least=0,
        legacy_default=0,
        per_member=True,
        affects_result=False,
    )


@dataclass(kw_only=True)
class CheckpointConfig:
    every_seconds: float = key(
        "seconds between two checkpoints within an epoch; the end of each epoch saves one too",
        above=0,
        affects_result=False,
    )
    monitor: str = key("validation metric that decides which checkpoint is best", legacy_default="val/acc")
    mode: str = key(
        "whether the best value is the largest or the smallest", choices=("max", "min"), legacy_default="max"
    )


@dataclass(kw_only=True)
class EarlyStoppingConfig:
    patience: int | None = key(
        "stop after this many validations without improvement; null: off", at_least=1, per_member=True
    )
    monitor: str = key("metric that must improve: val/loss, val/acc, ...", per_member=True)
    mode: str = key("whether smaller or larger is better", choices=("min", "max"), per_member=True)
    min_delta: float = key("smallest change that counts as an improvement", at_least=0, per_member=True)


@dataclass(kw_only=True)
class CallbacksConfig:
    early_stopping: EarlyStoppingConfig
    own: dict[str, Any] = key(
        "your own callbacks: `{file: {Class: {argument: value}}}` with a file in mnist_mlp/callbacks/; the file "
        "`lightning` stands for lightning.pytorch.callbacks"
    )


@dataclass(kw_only=True)
class SweepConfig:
    keep: str = key(
        "files that each completed run of a sweep or a search keeps: all; best: result.json and best.ckpt (without "
        "validation: last.ckpt); results: result.json alone",
        choices=KEEP,
        legacy_default="all",
        per_member=True,
        affects_result=False,
    )


@dataclass(kw_only=True)
class Config:
    """The configuration of one training run, composed from configs/train.yaml."""

    seed: int = key(
        "random seed of initial weights, order of the images, dropout and augmentation",
        at_least=0,
        below=2**32,
        per_member=True,
        stackable=True,
        in_hparams=True,
        shown_by_default=True,
    )
    threads: int | None = key(
        "CPU threads of a run; null: one for a small network (and one for its augmentation), all cores for a large "
        "one. In a stacked sweep it is instead the number of stacks that train at the same time",
        at_least=1,
        stackable=True,
    )
    engine: str = key("fast: mnist_mlp.engine; plain: Lightning's own loop", choices=ENGINES, stackable=True)
    metrics: list[str] = key("metrics beside the loss", choices=METRIC_KINDS, stackable=True)
    resume: str | None = key(
        "directory of a run to resume, or of a sweep to finish",
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
    dashboard: DashboardConfig = section(stackable=True, legacy_default=DashboardConfig)
    checkpoint: CheckpointConfig = section(stackable=True)
    sweep: SweepConfig = section(stackable=True, legacy_default=SweepConfig)
