"""What TensorBoard gets to show, and that looking changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from helpers.kill_and_resume import configuration as without_logger
from helpers.networks import data_spec, mlp, model_config
from PIL import Image
from sklearn.metrics import confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.projector import projector_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util.tensor_util import make_ndarray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import compute_curve

from mnist_mlp.config.errors import DivergedError
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import DigitsDataModule
from mnist_mlp.extras.evaluation import mistakes_picture
from mnist_mlp.extras.inference.predictions import Predictions
from mnist_mlp.extras.tensorboard import dashboard, projector
from mnist_mlp.extras.tensorboard import summaries as events
from mnist_mlp.extras.tensorboard.dashboard import snapshot_epochs
from mnist_mlp.extras.tensorboard.probe import features, layers_of, probe, sees_pixels
from mnist_mlp.model.networks import MLP, NETWORKS, DataSpec, Network
from mnist_mlp.module import DigitClassifier
from mnist_mlp.runs import checkpoint_file, record
from mnist_mlp.runs.loggers import build_loggers
from mnist_mlp.runs.result import Result
from mnist_mlp.training import train

CONFIG = ("dashboard.snapshots=2", "model.activation=sigmoid", "checkpoint.every_seconds=60")


def configuration(*overrides: str) -> Config:
    return without_logger("logger=tensorboard", *overrides)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(configuration(*CONFIG), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def shown(run: Result) -> EventAccumulator:
    events = EventAccumulator(str(run.directory / "tensorboard"), size_guidance={"images": 0, "histograms": 0})
    return events.Reload()


@pytest.mark.slow
def test_looking_changes_no_bit_of_the_run(run: Result, tmp_path: Path) -> None:
    blind = train(configuration(*CONFIG, "dashboard.snapshots=0"), tmp_path)
    assert blind.metrics == run.metrics
    for name in (checkpoint_file.LAST, checkpoint_file.BEST):
        one, other = (checkpoint_file.read(place / "checkpoints" / name) for place in (run.directory, tmp_path))
        assert one.keys() == other.keys()
        assert one["callbacks"].keys() == other["callbacks"].keys()
        for key in ("state_dict", "optimizer_states"):
            torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)


def test_every_page_of_tensorboard_has_something_to_show(shown: EventAccumulator, run: Result) -> None:
    tags = shown.Tags()
    layers = ("layer1", "layer2", "layer3")
    assert set(tags["scalars"]) >= {
        *("loss/train", "loss/train_step", "accuracy/train", "loss/val", "accuracy/val"),
        *("optimizer/lr", "optimizer/images_per_second", "optimizer/gradient_norm"),
        *(f"network/gradient_norm/{layer}" for layer in layers),
        *("result/val/acc", "result/test/acc", "result/train/loss"),
    }
    assert set(tags["histograms"]) == {
        *(f"network/{kind}/{layer}" for kind in ("weights", "gradients") for layer in layers),
        *("network/activations/layer1", "network/activations/layer2"),
    }
    groups = {tag.partition("/")[0] for kind in ("scalars", "histograms", "images") for tag in tags[kind]}
    assert sorted(groups)[:2] == ["accuracy", "loss"]  # as TensorBoard's page orders them
    assert set(tags["images"]) == {"pictures/first_layer", "pictures/confusion", "pictures/worst_mistakes"}
    assert {f"pr/{digit}" for digit in range(10)} <= set(tags["tensors"])
    assert "config/text_summary" in tags["tensors"]
    assert tags["graph"]
    assert (run.directory / "tensorboard" / "projector_config.pbtxt").exists()


def test_snapshots_come_before_the_first_step_and_then_as_often_as_asked(shown: EventAccumulator, run: Result) -> None:
    steps = (
        run.config["trainer"]["max_epochs"],
        checkpoint_file.read(run.directory / "checkpoints" / checkpoint_file.LAST)["global_step"],
    )
    in_epoch = steps[1] // steps[0]
    assert [event.step for event in shown.Images("pictures/first_layer")] == [0, 2 * in_epoch, 3 * in_epoch]
    assert [event.step for event in shown.Images("pictures/confusion")] == [2 * in_epoch, 3 * in_epoch]


def test_the_last_scalars_are_the_metrics_of_the_run(shown: EventAccumulator, run: Result) -> None:
    for name, value in run.metrics.items():
        assert shown.Scalars(f"result/{name}")[-1].value == pytest.approx(value)


def test_the_hparams_tab_has_a_row_with_the_keys_that_sweeps_change(shown: EventAccumulator) -> None:
    start = shown.summary_metadata["_hparams_/session_start_info"].plugin_data.content.decode("latin-1")
    for word in ("seed", "model.hidden", "[32, 16]", "optimizer.lr", "model.activation", "sigmoid"):
        assert word in start


def test_the_hparams_tab_has_columns_for_the_metrics_of_the_configuration(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        events.hyperparameters(writer, configuration("metrics=[f1]", "checkpoint.monitor=val/f1"), "run")
    written = EventAccumulator(str(tmp_path)).Reload().summary_metadata["_hparams_/experiment"]
    columns = HParamsPluginData.FromString(written.plugin_data.content).experiment.metric_infos
    assert {column.name.tag for column in columns} == {
        *("result/val/f1", "result/val/loss", "result/test/f1", "result/test/loss", "result/train/loss")
    }


def test_a_row_of_the_hparams_tab_is_named_by_the_overrides_and_the_place_of_its_run(tmp_path: Path) -> None:
    directory = tmp_path / "noon" / "3"
    directory.mkdir(parents=True)
    assert events.row_name(directory) == "noon/3"
    task = ["optimizer.lr=0.003", "model.hidden=[64]", "seed=1", "experiment=tiny"]
    command = record.Command(config_name="train", config_dirs=[], task=task, hydra=[])
    record.write_run(directory, record.RunRecord(config={}, command=command))
    assert events.row_name(directory) == "lr=0.003 hidden=[64] seed=1 experiment=tiny (noon/3)"
    of = record.Command(config_name="train", config_dirs=[], task=["seed=1", "optimizer.lr=0.003,0.01"], hydra=[])
    record.write_sweep(directory.parent, record.SweepRecord(command=of, config={}, jobs=None))
    record.write_run(directory, record.RunRecord(config={}, command=replace(command, task=task[::2]), sweep=".."))
    assert events.row_name(directory) == "lr=0.003 (noon/3)"
    typed = replace(of, task=["optimizer.lr=3e-3", "seed=1,2"])  # Hydra writes the value of a job in its own way
    jobs = [record.JobRecord(number=n, directory=str(n), overrides=["optimizer.lr=0.003", f"seed={n}"]) for n in (1, 2)]
    record.write_sweep(directory.parent, record.SweepRecord(command=typed, config={}, jobs=jobs))
    given = replace(command, task=["optimizer.lr=0.003", "seed=1"])
    record.write_run(directory, record.RunRecord(config={}, command=given, sweep=".."))
    assert events.row_name(directory) == "seed=1 (noon/3)"
    record.write_sweep(directory.parent, record.SweepRecord(command=of, config={}, jobs=None))
    record.write_run(directory, record.RunRecord(config={}, command=replace(command, task=task[::2]), sweep=".."))
    with SummaryWriter(directory) as writer:
        events.hyperparameters(writer, configuration(), events.row_name(directory))
    start = EventAccumulator(str(directory)).Reload().summary_metadata["_hparams_/session_start_info"]
    content = HParamsPluginData.FromString(start.plugin_data.content)
    assert content.session_start_info.group_name == events.row_name(directory)
    (logger,) = build_loggers(configuration(), directory, purge_step=None)
    assert Path(str(logger.log_dir)) == directory / "tensorboard" / "lr=0.003"


def test_arrows_of_the_graph_lead_from_box_to_box(shown: EventAccumulator) -> None:
    graph = GraphDef.FromString(shown.Graph().SerializeToString())
    names = {node.name for node in graph.node}
    assert {"images", "layer1/Linear", "layer1/Sigmoid", "layer3/Linear"} <= names
    assert {start for node in graph.node for start in node.input} <= names


def test_a_histogram_is_that_of_the_weights(shown: EventAccumulator, run: Result) -> None:
    weights = checkpoint_file.read(run.directory / "checkpoints" / checkpoint_file.LAST)["state_dict"][
        "network.layers.0.weight"
    ]
    last = shown.Histograms("network/weights/layer1")[-1].histogram_value
    assert (last.min, last.max, last.num) == (float(weights.min()), float(weights.max()), weights.numel())
    assert sum(last.bucket) == weights.numel()
    for limit, upto in zip(last.bucket_limit, torch.tensor(last.bucket).cumsum(0).tolist(), strict=True):
        assert abs(int((weights <= limit).sum()) - upto) <= 2  # rounding of the limits may move a value over


@pytest.mark.parametrize("words", [("logger=csv",), ("dashboard=off",), ("logger=none",)])
def test_nothing_is_looked_at_where_nothing_is_shown(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr(dashboard, "probe", fail)
    short = ("trainer.max_epochs=1", "trainer.limit_train_batches=3")
    train(configuration(*short, *words), tmp_path)
    assert (tmp_path / "tensorboard").exists() == (words == ("dashboard=off",))


def test_an_unusual_run_is_shown_too(tmp_path: Path) -> None:
    words = ("model.hidden=[]", "model.loss=mse", "trainer.limit_val_batches=0", "trainer.max_steps=2")
    assert train(configuration(*words), tmp_path).status == "completed"


class OwnLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(784, 10))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


def test_a_network_without_layers_of_torch_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(config: Any, data: DataSpec) -> Network:
        return Network(nn.Sequential(OwnLayer()), input_shape=data.image_shape, loss=config.loss, data=data)

    monkeypatch.setitem(NETWORKS, "mlp", build)
    assert train(configuration("trainer.max_steps=2"), tmp_path).status == "completed"


@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm. is deprecated")
def test_a_network_that_cannot_be_copied_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def build(config: Any, data: DataSpec) -> Network:
        layers = nn.Sequential(nn.utils.weight_norm(nn.Linear(784, 10)))
        return Network(layers, input_shape=[784], loss=config.loss, data=data)

    monkeypatch.setitem(NETWORKS, "mlp", build)
    assert train(configuration("trainer.max_steps=2"), tmp_path).status == "completed"
    assert caplog.text.count("TensorBoard gets no pictures of this network") == 1


@pytest.mark.parametrize(("snapshots", "epochs", "expected"), [(5, 10, {1, 3, 5, 7, 9}), (3, 2, {0, 1}), (0, 4, set())])
def test_snapshots_are_spread_evenly_and_end_with_the_run(snapshots: int, epochs: int, expected: set[int]) -> None:
    assert snapshot_epochs(snapshots, epochs) == expected
    assert all(epochs - 1 in snapshot_epochs(number, epochs) for number in range(1, 50))


def test_probing_gives_the_gradients_of_a_backward_pass_and_leaves_the_network_alone() -> None:
    torch.manual_seed(0)
    network = mlp([8, 4], "tanh", 0.5, mean=0.1, std=0.3)
    images, labels = torch.randint(256, (6, 784), dtype=torch.uint8), torch.arange(6)
    before = torch.get_rng_state()
    found = probe(network, nn.functional.cross_entropy, images, labels)
    assert torch.equal(before, torch.get_rng_state())
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    network.eval()
    nn.functional.cross_entropy(network(images), labels).backward()
    weights = [parameter for parameter in network.parameters() if parameter.ndim == 2]
    for gradient, weight in zip(found.gradients, weights, strict=True):
        torch.testing.assert_close(gradient, weight.grad)
    first = torch.tanh(network.layers[0](network.normalise(images)))
    torch.testing.assert_close(found.activations[0], first)
    assert [activation.shape for activation in found.activations] == [(6, 8), (6, 4)]


@pytest.mark.parametrize("words", [(), ("averaging.decay=0.9",), ("trainer.check_val_every_n_epoch=2",)])
def test_confusion_is_counted_as_scikit_learn_does_and_mistakes_begin_with_the_worst(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def keep(module: Any, name: str) -> None:
        what = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, **named: seen.update({name: given}) or what(*given, **named))

    keep(dashboard, "confusion_picture")
    keep(mistakes_picture, "mistakes_picture")
    keep(projector, "write")
    keep(dashboard, "predictions")
    train(configuration("trainer.max_epochs=1", *words), tmp_path)
    truths = seen["predictions"][1].numpy()
    content = checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.LAST)
    network, config = checkpoint_file.network_of(content), configuration("trainer.max_epochs=1")
    data = DigitsDataModule(config)
    data.setup()
    images, labels = data.parts["val"]
    odds = network.log_probabilities(images).detach().numpy()
    assert (truths == labels.numpy()).all()
    expected = confusion_matrix(truths, odds.argmax(axis=1), labels=range(10))
    assert (seen["confusion_picture"][0] == expected).all()
    assert len(seen["mistakes_picture"][0]) == min(16, len(truths) - expected.trace())
    losses = -odds[range(len(truths)), truths]
    wrong = [index for index in losses.argsort(kind="stable")[::-1] if odds[index].argmax() != truths[index]]
    assert seen["mistakes_picture"][1][0] == str(truths[wrong[0]])
    assert (seen["mistakes_picture"][0][0] == 255 - images[wrong[0]].numpy()).all(), "black on white"
    assert (seen["write"][5] == 255 - images[:400].numpy()).all()


def test_what_a_validation_step_returns_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = DigitClassifier.validation_step

    def returns_nothing(module: DigitClassifier, *batch: Any) -> None:
        step(module, *batch)

    monkeypatch.setattr(DigitClassifier, "validation_step", returns_nothing)
    short = ("trainer.max_epochs=1", "trainer.limit_train_batches=3", "engine=plain")
    assert train(configuration(*short), tmp_path).status == "completed"


def test_numbers_that_are_not_finite_are_left_out_of_a_histogram(tmp_path: Path) -> None:
    numbers = torch.tensor([1.0, 2.0, 4.0, float("nan"), float("inf")])
    with SummaryWriter(tmp_path) as writer:
        events.histogram(writer, "some", numbers, 0)
        events.histogram(writer, "none", numbers[3:], 0)
    shown = EventAccumulator(str(tmp_path)).Reload()
    (event,) = shown.Histograms("some")
    assert (event.histogram_value.min, event.histogram_value.max, event.histogram_value.num) == (1, 4, 3)
    assert shown.Tags()["histograms"] == ["some"]


@pytest.mark.parametrize("numbers", [[2e4] * 5, [0.0, 1e-45], [-3e38, 3e38]])
def test_a_histogram_of_numbers_that_are_hardly_apart_or_very_far_counts_each(
    tmp_path: Path, numbers: list[float]
) -> None:
    with SummaryWriter(tmp_path) as writer:
        events.histogram(writer, "all", torch.tensor(numbers), 0)
    (event,) = EventAccumulator(str(tmp_path)).Reload().Histograms("all")
    assert sum(event.histogram_value.bucket) == len(numbers)


@pytest.mark.parametrize("steps", [1, 4])  # after one, the weights are still finite
def test_a_run_that_diverges_ends_with_its_one_line_error(steps: int, tmp_path: Path) -> None:
    wild = ("engine=plain", "optimizer=sgd", "optimizer.lr=1e30", "checkpoint.every_seconds=60")
    with pytest.raises(DivergedError):
        train(configuration(*wild, f"trainer.limit_train_batches={steps}"), tmp_path)


def test_precision_and_recall_are_those_that_torch_counts_class_by_class(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(9, size=300)  # and none of the last class
    odds = np.log(generator.dirichlet(np.ones(10), size=300))
    odds[:5] = np.log(np.eye(10)[:5] * (1 - 1e-12) + 1e-13)  # sure, so in the last bin
    said = Predictions(log_probabilities=odds, labels=labels)
    with SummaryWriter(tmp_path) as writer:
        events.precision_recall(writer, [str(digit) for digit in range(10)], said, 64, step=3)
    written = EventAccumulator(str(tmp_path)).Reload()
    for digit in range(10):
        (event,) = written.Tensors(f"pr/{digit}")
        expected = compute_curve(labels == digit, np.exp(odds[:, digit]), num_thresholds=64)
        np.testing.assert_allclose(make_ndarray(event.tensor_proto), expected, rtol=1e-6)
        assert event.step == 3


class Branching(Network):
    """A network of another kind: convolutions, a skip connection, a layer that nothing uses."""

    def __init__(self) -> None:
        shape, names = (3, 6, 8), tuple("abcdefg")
        data = DataSpec(image_shape=shape, class_names=names, mean=(0.0,), std=(1.0,))
        super().__init__(nn.Sequential(), input_shape=shape, loss="cross_entropy", data=data)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.unused, self.activation, self.last = nn.Linear(5, 5), nn.ReLU(), nn.Linear(4 * 6 * 8, 7)

    def logits(self, images: Tensor) -> Tensor:
        once = self.activation(self.first(self.normalise(images)))
        return self.last((once + self.activation(self.second(once))).flatten(1))


def test_the_attention_of_a_network_is_no_activation() -> None:
    attention = nn.TransformerEncoderLayer(28, 4, 32, batch_first=True)
    network = nn.Sequential(nn.Flatten(1, 2), attention, nn.Flatten(), nn.Linear(784, 10), nn.ReLU())
    found = probe(network, nn.functional.cross_entropy, torch.rand(5, 1, 28, 28), torch.arange(5))
    assert [activation.shape for activation in found.activations] == [(5, 10)]


def test_a_network_of_any_kind_is_looked_at_as_far_as_that_goes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, images = Branching(), torch.randint(256, (5, 3, 6, 8), dtype=torch.uint8)
    found = probe(network, nn.functional.cross_entropy, images, torch.arange(5))
    assert [activation.shape[1:] for activation in found.activations] == [(4, 6, 8)] * 2
    nn.functional.cross_entropy(network(images), torch.arange(5)).backward()
    for layer, gradient in zip(layers_of(network), found.gradients, strict=True):
        if layer is network.unused:
            assert gradient is None
        else:
            torch.testing.assert_close(gradient, layer.weight.grad)
    assert not sees_pixels(network.first, 3 * 6 * 8)
    once = network.activation(network.first(images / 255))
    expected = (once + network.activation(network.second(once))).flatten(1)
    torch.testing.assert_close(features(network, images), expected.detach())
    network.never_used = nn.Linear(3, 3)  # and defined after the last one that is
    torch.testing.assert_close(features(network, images), expected.detach())
    with SummaryWriter(tmp_path) as writer:
        events.graph(writer, network, images[:1])  # no chain, so nothing is drawn, and nothing fails
    assert not EventAccumulator(str(tmp_path)).Reload().Tags()["graph"]


def test_a_graph_is_drawn_only_where_the_chain_of_layers_is_the_network(tmp_path: Path) -> None:
    class Skipping(MLP):
        def logits(self, images: Tensor) -> Tensor:
            return super().logits(images) + 1

    for name, kind in (("chain", MLP), ("other", Skipping)):
        with SummaryWriter(tmp_path / name) as writer:
            events.graph(writer, kind(model_config([4]), data_spec()), torch.zeros(1, 784, dtype=torch.uint8))
        assert bool(EventAccumulator(str(tmp_path / name)).Reload().Tags()["graph"]) == (name == "chain")


def test_of_many_classes_the_first_have_curves(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    said = Predictions(log_probabilities=np.log(generator.dirichlet(np.ones(30), 200)), labels=np.arange(200) % 30)
    with SummaryWriter(tmp_path) as writer:
        events.precision_recall(writer, ["a", "b"], said, 64, step=1)
    written = EventAccumulator(str(tmp_path)).Reload()
    assert {tag for tag in written.Tags()["tensors"] if tag.startswith("pr/")} == {"pr/a", "pr/b"}
    expected = compute_curve(said.labels == 1, said.probabilities[:, 1], num_thresholds=64)
    np.testing.assert_allclose(make_ndarray(written.Tensors("pr/b")[0].tensor_proto), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 20, 40), (1, 8, 8)])
def test_the_projector_shows_images_of_any_shape(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    images = np.zeros((5, *shape), dtype=np.uint8)
    projector.write(tmp_path, "points", 1, np.zeros((5, 2), dtype=np.float32), list("abcde"), images)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    wide, high = config.embeddings[0].sprite.single_image_dim
    assert wide / high == shape[2] / shape[1]
    with Image.open(tmp_path / config.embeddings[0].sprite.image_path) as sprite:
        assert sprite.size == (3 * wide, 3 * high)


def test_the_projector_reads_what_is_written_for_it(tmp_path: Path) -> None:
    points = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)).numpy()
    images = np.zeros((10, 1, 28, 28), dtype=np.uint8)
    images[4] = 255
    projector.write(tmp_path, "points", 20, points, [f"Ärmel {number}" for number in range(10)], images)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    read = projector_plugin._read_tensor_tsv_file(str(tmp_path / embedding.tensor_path))
    np.testing.assert_allclose(read, points, rtol=1e-4)
    assert (tmp_path / embedding.metadata_path).read_text(encoding="utf-8").splitlines()[9] == "Ärmel 9"
    sprite = np.asarray(Image.open(tmp_path / embedding.sprite.image_path))
    assert sprite.shape == (4 * 28, 4 * 28)  # the smallest square that holds them
    assert (sprite[28:56, :28] == 255).all()
    assert (sprite == 0).sum() == 9 * 784
