"""Epoch log: the values of `self.log` in one module of a stack, averaged over an epoch as Lightning does."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.distributed.strategy import sum_over_ranks


class EpochLog:
    """Means over the batches of an epoch, weighted by batch size, and metrics of torchmetrics.

    Sums are in double precision, and one batch is added after another, so a run that is resumed at any of them makes
    the same additions.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self.sums: dict[str, tuple[float, float]] = {}
        """sum over all images, and number of images"""
        self.reported = False
        """whether `on_train_epoch_end` was called for these values; kept in checkpoints, so that a resumed run does not
        call it again"""
        self.step_values: dict[str, Tensor] = {}
        """the latest values logged with `on_step`"""
        self.batch_size = 1
        """images in the current batch, the weight of a value that is logged without `batch_size`"""
        self.in_step = False
        """whether `log` is called from a training step or a hook around it"""
        self._pending: list[tuple[str, Tensor, int]] = []
        """name, value and number of images of what was logged since the latest `add_up`; the values may be on a GPU"""
        self._with_step: set[str] = set()
        """names logged with both `on_step` and `on_epoch`"""

    def log(
        self,
        name: str,
        value: Any,
        prog_bar: bool = False,
        logger: bool | None = None,
        on_step: bool | None = None,
        on_epoch: bool | None = None,
        reduce_fx: Any = "mean",
        *_: Any,
        batch_size: int | None = None,
        **__: Any,
    ) -> None:
        """Collect a value: a replacement for `LightningModule.log`, with Lightning's order of arguments and defaults.

        `prog_bar`, `logger` and others are ignored: callbacks decide what is shown and logged.

        Args:
            on_step: default: true in a training step, false elsewhere.
            on_epoch: default: false in a training step, true elsewhere.

        Raises:
            ConfigError: the reduction is not the mean, or the value is not a single number.
        """
        if reduce_fx not in ("mean", torch.mean):
            raise ConfigError(
                f"self.log({name!r}): engine=fast supports reduce_fx='mean' only; engine=plain supports others"
            )
        if isinstance(value, Metric):
            self.metrics[name] = value
            return
        value = torch.as_tensor(value).detach()
        if value.numel() != 1:
            raise ConfigError(f"self.log({name!r}): expected a single number, got a tensor {tuple(value.shape)}")
        value = value.squeeze()
        on_step = self.in_step if on_step is None else on_step
        on_epoch = not self.in_step if on_epoch is None else on_epoch
        if on_step:
            self.step_values[f"{name}_step" if on_epoch else name] = value  # Lightning's names
        if on_epoch:
            self._pending.append((name, value, batch_size or self.batch_size))
            self._with_step |= {name} if on_step else set()

    def add(self, name: str, value: float, images: int) -> None:
        """Add a mean over `images` images to the sums."""
        total, count = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = total + value * images, count + images
        self.reported = False

    def add_up(self) -> None:
        """Add the pending values to the sums, with a single transfer from the GPU."""
        if self._pending:
            device = next((value.device for _, value, _ in self._pending if not value.is_cpu), torch.device("cpu"))
            values = torch.stack([value.to(device) for _, value, _ in self._pending]).tolist()
            for (name, _, images), value in zip(self._pending, values, strict=True):
                self.add(name, value, images)
            self._pending = []

    def compute(self, *, world_size: int = 1) -> dict[str, Tensor]:
        """The means and metrics of the epoch so far, over all ranks; for a value logged with `on_step`
        only, the latest value."""
        self.add_up()
        sums = self._of_all_ranks() if world_size > 1 else self.sums
        means = {name: torch.tensor(total / count) for name, (total, count) in sums.items() if count}
        values = self.step_values | means | {f"{name}_epoch": means[name] for name in self._with_step & means.keys()}
        with warnings.catch_warnings():
            # A metric restored from a checkpoint has its state, but has had no update.
            warnings.filterwarnings("ignore", message=".*was called before the ``update`` method.*")
            return values | {name: metric.compute() for name, metric in self.metrics.items()}

    def reset(self) -> None:
        for metric in self.metrics.values():
            metric.reset()
        self.metrics, self.sums, self.step_values, self._pending, self._with_step = {}, {}, {}, [], set()
        self.reported = False

    def _of_all_ranks(self) -> dict[str, tuple[float, float]]:
        sums = sum_over_ranks(torch.tensor(list(self.sums.values()), dtype=torch.float64))
        return {name: (total, count) for name, (total, count) in zip(self.sums, sums.tolist(), strict=True)}

    def state_dict(self, module: nn.Module, *, world_size: int = 1) -> dict[str, Any]:
        """Sums and metric states of all ranks, for a checkpoint in the middle of an epoch.

        `module` holds the metrics.
        """
        self.add_up()
        sums = self._of_all_ranks() if world_size > 1 else self.sums
        metrics = {}
        for name, metric in self.metrics.items():
            with metric.sync_context():
                metrics[name] = dict(metric.metric_state)
        pairs = {name: list(pair) for name, pair in sums.items()}
        places = {part: place for place, part in module.named_modules() if isinstance(part, Metric)}
        return {
            "sums": pairs,
            "metrics": metrics,
            "metric_places": {name: places[metric] for name, metric in self.metrics.items() if metric in places},
            "reported": self.reported,
            "step_values": {name: float(value) for name, value in self.step_values.items()},
            "with_step": sorted(self._with_step),
        }

    def load_state_dict(self, state: dict[str, Any], module: nn.Module, *, rank: int = 0) -> None:
        """Restore the sums of all ranks on rank 0; the other ranks start from zero.

        `module` holds the metrics. A metric that it no longer has is left out.
        """
        self.reset()
        self.reported = state.get("reported", False)
        self.step_values = {name: torch.tensor(value) for name, value in state.get("step_values", {}).items()}
        self._with_step = set(state.get("with_step", ()))
        self.sums = {
            name: (total, count) if rank == 0 else (0.0, 0.0) for name, (total, count) in state["sums"].items()
        }
        if "metric_places" in state:
            parts = dict(module.named_modules())
            known = {name: parts.get(place) for name, place in state["metric_places"].items()}
        else:  # an older checkpoint
            known = dict(module.metrics_of("train").items())  # type: ignore[operator]
        for name, values in state["metrics"].items():
            if (metric := known.get(name)) is None:
                continue
            self.metrics[name] = metric
            for key, value in values.items() if rank == 0 else ():
                setattr(metric, key, value.to(metric.device))
