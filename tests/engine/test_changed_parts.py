"""What one changes in a module, or a network of one's own, is trained as Lightning's own loop trains it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.kill_and_resume import configuration
from helpers.short_runs import QUIET, SHORT, furthest, skip_connection, slow, trained
from torch import Tensor, nn

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.engine import hand_written_step, stack
from mnist_mlp.model import networks
from mnist_mlp.model.networks import MLP, NETWORKS
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file
from mnist_mlp.training import train


def penalised(factor: Callable[[DigitClassifier], int]) -> Callable[..., Tensor]:
    """A `training_step` with a penalty on the weights of the first layer."""
    return lambda module, batch, _: (
        module.loss(module.network(batch[0]), batch[1])
        + factor(module) * module.network.layers[0].weight.square().sum()
    )


def unsmoothed(module: DigitClassifier, batch: Any, _: int) -> Tensor:
    """A `training_step` that ignores `model.label_smoothing`."""
    images, labels = batch
    output = module.network(images)
    loss = module.evaluation_loss(output, labels)
    module.log_metrics("train", loss, output, labels)
    return loss


def two_groups(module: DigitClassifier) -> dict[str, Any]:
    """A `configure_optimizers` with a parameter group for the weights and one for the biases."""
    biases = [parameter for parameter in module.network.parameters() if parameter.ndim == 1]
    weights = [parameter for parameter in module.network.parameters() if parameter.ndim > 1]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0, "lr": 0.02}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    factors = [lambda step: 0.9**step, lambda step: 1 / (1 + step)]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Floor(torch.optim.lr_scheduler.LambdaLR):
    def get_lr(self) -> list[float]:
        return [max(float(rate), 5e-3) for rate in super().get_lr()]


def with_floor(module: DigitClassifier) -> dict[str, Any]:
    """A `configure_optimizers` with a schedule that only its class knows."""
    optimizer = torch.optim.AdamW(module.network.parameters(), lr=1e-2)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": Floor(optimizer, lambda step: 1 / (1 + step) ** 2), "interval": "step"},
    }


CHANGES: dict[str, tuple[type, str, Any]] = {
    "another forward": (MLP, "logits", skip_connection),
    "the last layer alone": (
        MLP,
        "logits",
        lambda network, images: network.layers[-1](network.layers[:-1](network.normalise(images)).detach()),
    ),
    "another loss": (DigitClassifier, "training_step", penalised(lambda module: 1)),
    "a penalty that begins in the second epoch": (
        DigitClassifier,
        "training_step",
        penalised(lambda module: module.current_epoch),
    ),
    "a penalty that grows step by step": (
        DigitClassifier,
        "training_step",
        penalised(lambda module: module.global_step),
    ),
    "another optimizer": (
        DigitClassifier,
        "configure_optimizers",
        lambda module: torch.optim.NAdam(module.network.parameters(), lr=1e-2),
    ),
    "no weight decay for the biases, which have their own learning rate": (
        DigitClassifier,
        "configure_optimizers",
        two_groups,
    ),
    "another schedule": (
        DigitClassifier,
        "configure_optimizers",
        lambda module: {
            "optimizer": (optimizer := torch.optim.AdamW(module.network.parameters(), lr=1e-2)),
            "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 5), "interval": "step"},
        },
    ),
    "a schedule with a formula of its own": (DigitClassifier, "configure_optimizers", with_floor),
    "a warm-up in each epoch": (
        DigitClassifier,
        "training_step",
        lambda module, batch, number: (
            module.loss(module.network(batch[0]), batch[1]) * (number + 1) / module.trainer.num_training_batches
        ),
    ),
    "a layer that a hook freezes for the second epoch": (
        DigitClassifier,
        "on_train_epoch_start",
        lambda module: module.network.layers[0].requires_grad_(module.current_epoch == 0),
    ),
    "another hook": (
        DigitClassifier,
        "on_train_batch_end",
        lambda module, *_: module.network.layers[0].weight.data.mul_(0.9),
    ),
}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights of a module that nobody changed, which no line says to be trained by autograd."""
    records: list[logging.LogRecord] = []
    handler, logger = logging.Handler(), logging.getLogger("mnist_mlp")
    handler.emit = records.append  # type: ignore[method-assign]
    logger.setLevel("INFO")
    logger.addHandler(handler)
    weights = trained(tmp_path_factory.mktemp("unchanged"), "augment=affine")
    logger.removeHandler(handler)
    assert records and not any("trained by autograd" in record.getMessage() for record in records)
    return weights


QUICK = [*list(CHANGES)[:3], "no weight decay for the biases, which have their own learning rate"]


@pytest.mark.parametrize("change", [*QUICK, *(slow(change) for change in CHANGES if change not in QUICK)])
def test_a_changed_module_is_trained_as_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unchanged: dict[str, Tensor],
    change: str,
) -> None:
    """The hand-written step no longer fits: one line says so, and the weights are those of Lightning's own loop."""
    caplog.set_level("INFO")
    owner, name, function = CHANGES[change]
    monkeypatch.setattr(owner, name, function)
    fast, plain = (trained(tmp_path / engine, f"engine={engine}", "augment=affine") for engine in ("fast", "plain"))
    assert furthest(fast, plain) < (1e-7 if change == "another optimizer" else 1e-9)  # NAdam counts in single precision
    assert furthest(fast, unchanged) > 1e-4
    assert caplog.text.count("trained by autograd: ") == 1


@pytest.mark.parametrize("name", ["train/loss", "train/acc"])
def test_a_value_that_is_logged_otherwise_is_in_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The weights are the same, so only the logged values tell the changed step from the hand-written one."""
    original = DigitClassifier.log_metrics

    def logs(module: DigitClassifier, stage: str, loss: Tensor, output: Tensor, labels: Tensor) -> None:
        if stage == "train" and name == "train/loss":
            loss = 2 * loss
        elif stage == "train":
            labels = output.argmax(dim=1)
        original(module, stage, loss, output, labels)

    plain, changed = (configuration(*SHORT, *QUIET, f"engine={engine}") for engine in ("plain", "fast"))
    monkeypatch.setattr(DigitClassifier, "log_metrics", logs)
    expected = train(plain, tmp_path / "plain").history
    found = train(changed, tmp_path / "fast").history
    assert [row[name] for row in found] == pytest.approx([row[name] for row in expected], rel=1e-6)


def test_what_a_step_counts_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DigitClassifier] = []

    class Counting(DigitClassifier):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            made.append(self)

    class WithNumber(Counting):
        steps = 0

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.steps += 1
            return super().training_step(batch, batch_idx)

    class WithNewNumber(Counting):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.steps = getattr(self, "steps", 0) + 1
            return super().training_step(batch, batch_idx)

    class WithBuffer(Counting):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.register_buffer("steps", torch.tensor(0))

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            self.steps += 1
            return super().training_step(batch, batch_idx)

    for counting in (WithNumber, WithNewNumber, WithBuffer):
        made.clear()
        monkeypatch.setattr("mnist_mlp.training.run.DigitClassifier", counting)
        trained(tmp_path / counting.__name__)
        assert int(made[0].steps) == 24


def test_layers_without_a_bias_are_trained_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = networks._fully_connected

    def without_bias(*given: Any) -> nn.Sequential:
        layers = original(*given)
        for layer in layers:
            if isinstance(layer, nn.Linear):
                layer.bias = None
        return layers

    monkeypatch.setattr(networks, "_fully_connected", without_bias)
    fast, plain = (trained(tmp_path / engine, f"engine={engine}") for engine in ("fast", "plain"))
    assert furthest(fast, plain) < 1e-9


def test_a_lazy_layer_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_fully_connected", lambda *_: nn.Sequential(nn.LazyLinear(10)))
    with pytest.raises(ConfigError, match=r"model=mlp: expected layers with weights, got a lazy one"):
        train(configuration(*SHORT, *QUIET), tmp_path)


def test_a_step_may_compute_its_metrics_and_log_by_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DigitClassifier.training_step

    def step(module: DigitClassifier, batch: Any, batch_idx: int) -> Tensor:
        loss = original(module, batch, batch_idx)
        module.log("train/so_far", module.train_metrics.compute()["train/acc"], False, None, False, True)
        module.log("train/one", module.train_metrics["acc"].compute(), on_step=False, on_epoch=True)
        module.log("train/lr", module.optimizers().param_groups[0]["lr"], on_step=False, on_epoch=True)
        return loss

    monkeypatch.setattr(DigitClassifier, "training_step", step)
    fast, plain = (
        train(configuration(*SHORT, *QUIET, f"engine={engine}"), tmp_path / engine).history
        for engine in ("fast", "plain")
    )
    for name in ("train/so_far", "train/one", "train/lr", "train/acc"):
        assert [row[name] for row in fast] == pytest.approx([row[name] for row in plain], rel=1e-6)


def test_hooks_of_a_subclass_around_a_step_are_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though they change neither weights nor what is logged."""
    steps: list[int] = []

    class Counting(DigitClassifier):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            steps.append(batch_idx)
            super().on_train_batch_end(outputs, batch, batch_idx)

    monkeypatch.setattr("mnist_mlp.training.run.DigitClassifier", Counting)
    trained(tmp_path)
    assert steps == [*range(12), *range(12)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ((MLP, "logits", skip_connection), ("seed=1", "seed=2")),
        # Another loss for the second network only.
        ((DigitClassifier, "training_step", unsmoothed), ("model.label_smoothing=0", "model.label_smoothing=0.1")),
    ],
    ids=["both", "one"],
)
def test_each_network_of_a_stack_is_trained_as_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[type, str, Any], differing: tuple[str, str]
) -> None:
    from mnist_mlp.engine.job import Job
    from mnist_mlp.engine.train_stack import train_stack

    monkeypatch.setattr(*change)
    configs = [configuration(*SHORT, *QUIET, words) for words in differing]
    jobs = [Job(config=config, directory=tmp_path / f"stacked{number}") for number, config in enumerate(configs)]
    for job in jobs:
        job.directory.mkdir()
    train_stack(jobs)
    for job, words in zip(jobs, differing, strict=True):
        alone = trained(tmp_path / f"alone {words}", words, "engine=plain")
        assert (
            furthest(checkpoint_file.read(job.directory / "checkpoints" / checkpoint_file.LAST)["state_dict"], alone)
            < 1e-9
        )


def test_the_check_sees_a_hand_written_step_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_mlp.engine.stacked_mlp import ACTIVATIONS

    relu = ACTIVATIONS[nn.ReLU]
    wrong = replace(relu, backward=lambda upstream, output: relu.backward(upstream, output).mul_(1.01))
    monkeypatch.setitem(ACTIVATIONS, nn.ReLU, wrong)
    words = ("optimizer=sgd", "optimizer.lr=0.1")  # Adam would hardly see gradients of another size
    right = trained(tmp_path / "plain", "engine=plain", *words)
    assert furthest(trained(tmp_path / "fast", *words), right) < 1e-9  # autograd took over
    monkeypatch.setattr(stack, "reason_for_autograd", lambda *_: None)
    assert furthest(trained(tmp_path / "unchecked", *words), right) > 1e-6


def test_the_check_sees_a_written_update_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of gradients that are right."""
    build = hand_written_step.build_update

    def built(*arguments: Any, **options: Any) -> Any:
        update = build(*arguments, **options)
        return lambda rates: update([1.01 * rate for rate in rates])

    right = trained(tmp_path / "plain", "engine=plain")
    monkeypatch.setattr(hand_written_step, "build_update", built)
    assert furthest(trained(tmp_path / "fast"), right) < 1e-9


class Normed(MLP):
    def __init__(self, config: Any, data: Any) -> None:
        super().__init__(config, data)
        self.layers.insert(1, nn.LayerNorm(config.hidden[0]))


class Scaled(MLP):
    """It has a weight outside of its layers."""

    def __init__(self, config: Any, data: Any) -> None:
        super().__init__(config, data)
        self.gain = nn.Parameter(torch.tensor(2.0))

    def logits(self, images: Tensor) -> Tensor:
        return self.gain * super().logits(images)


class Frozen(MLP):
    def __init__(self, config: Any, data: Any) -> None:
        super().__init__(config, data)
        self.layers[0].requires_grad_(False)


@pytest.mark.parametrize("network", [Normed, slow(Scaled), slow(Frozen)])
def test_a_network_of_ones_own_trains_through_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: type[MLP]
) -> None:
    monkeypatch.setitem(NETWORKS, "mlp", network)
    logged = ("logger=tensorboard", "dashboard.snapshots=1")
    fast, plain = (trained(tmp_path / engine, *logged, f"engine={engine}") for engine in ("fast", "plain"))
    assert furthest(fast, plain) < 1e-9
