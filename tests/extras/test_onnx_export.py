import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import commands as started
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic
from safetensors import safe_open
from torch import nn

from mnist_mlp.config.commands import ExportConfig
from mnist_mlp.config.errors import ExportError, MissingPackageError, require
from mnist_mlp.config.schema import ACTIVATION_NAMES, LOSS_NAMES, PROJECT
from mnist_mlp.extras import onnx_export as exporting
from mnist_mlp.extras.inference.predictor import Calibration
from mnist_mlp.extras.onnx_export import check, export, metadata, probabilities
from mnist_mlp.extras.onnx_graph import build

IMAGES = np.random.default_rng(1).integers(0, 256, (7, 28, 28), np.uint8)


def written(predictor, path, **layout):
    layout = {"dtype": "uint8", "channel": False, **layout}
    onnx.save_model(build(predictor, **layout, metadata=metadata(predictor)), path)
    return path


def expected(predictor, images):
    return predictor.log_probabilities(torch.from_numpy(images)).exp().numpy()


@pytest.mark.parametrize(
    "overrides",
    [
        *([f"model.activation={activation}"] for activation in ACTIVATION_NAMES),
        *([f"model.loss={loss}"] for loss in LOSS_NAMES),
        ["model.hidden=[]", "model.dropout=0"],
        ["data.mean=0.5", "data.std=0.25"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_the_file_gives_the_calibrated_probabilities_of_torch(overrides, tmp_path):
    predictor = untrained.predictor(tmp_path, *overrides, temperature=1.7)
    path = written(predictor, tmp_path / "it.onnx")
    assert np.abs(probabilities(path, IMAGES) - expected(predictor, IMAGES)).max() < 1e-6
    assert check(path, predictor) < 1e-5


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channel", [False, True], ids=["without channel", "with channel"])
@pytest.mark.parametrize("number", [1, 7])
def test_every_layout_takes_any_number_of_images(dtype, channel, number, tmp_path):
    predictor = untrained.predictor(tmp_path)
    session = onnxruntime.InferenceSession(written(predictor, tmp_path / "it.onnx", dtype=dtype, channel=channel))
    images = IMAGES[:number, None] if channel else IMAGES[:number]
    given = images if dtype == "uint8" else (images / 255).astype(np.float32)
    (answer,) = session.run(["probabilities"], {"images": given})
    assert np.abs(answer - expected(predictor, IMAGES[:number])).max() < 1e-6


def test_an_image_of_another_size_is_refused_and_not_cut_up(tmp_path):
    session = onnxruntime.InferenceSession(written(untrained.predictor(tmp_path), tmp_path / "it.onnx"))
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="images"):
        session.run(None, {"images": np.zeros((1, 56, 56), np.uint8)})


def test_the_file_is_one_whole_and_says_what_it_is(tmp_path):
    predictor = untrained.predictor(tmp_path, temperature=1.7, threshold=0.6)
    content = written(predictor, tmp_path / "it.onnx").read_bytes()
    (tmp_path / "it.onnx").unlink()
    session = onnxruntime.InferenceSession(content)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == list("0123456789")
    assert (about["temperature"], about["threshold"], about["hidden"]) == ("1.7", "0.6", "[32, 16]")
    assert session.get_modelmeta().producer_name == "mnist-mlp" and about["commit"]
    assert session.get_inputs()[0].shape == ["batch", 28, 28] and session.get_outputs()[0].shape == ["batch", 10]


def test_the_accuracy_is_that_of_the_run_for_its_best_checkpoint_alone(tmp_path):
    best, last = (untrained.checkpoint(tmp_path / "checkpoints" / name) for name in ("best.ckpt", "last.ckpt"))
    (tmp_path / "result.json").write_text(json.dumps({"status": "completed", "metrics": {"test/acc": 0.984}}))
    assert metadata(exporting.Predictor.load(best))["test_accuracy"] == "0.984"
    assert "test_accuracy" not in metadata(exporting.Predictor.load(last))


def test_a_normalisation_that_was_computed_from_the_images_is_named(tmp_path):
    predictor = untrained.predictor(tmp_path, "data.mean=0.1307", "data.std=0.3081")
    data = replace(predictor.config.data, mean=None, std=None)
    about = metadata(replace(predictor, config=replace(predictor.config, data=data)))
    assert (about["mean"], about["std"]) == ("0.1307", "0.3081")
    predictor.network.mean = torch.tensor([51.0, 102.0, 255.0]).view(3, 1, 1)
    assert json.loads(metadata(predictor)["mean"]) == [0.2, 0.4, 1.0]


def test_a_run_that_was_not_tested_gives_no_accuracy(tmp_path):
    best = untrained.checkpoint(tmp_path / "checkpoints" / "best.ckpt")
    (tmp_path / "result.json").write_text(json.dumps({"status": "completed", "metrics": {"test/acc": None}}))
    assert "test_accuracy" not in metadata(exporting.Predictor.load(best))


def test_a_file_that_answers_otherwise_is_refused_and_taken_away(tmp_path):
    predictor = untrained.predictor(tmp_path)
    path = written(predictor, tmp_path / "it.onnx")
    with pytest.raises(ExportError, match=r"torch's differ by .*e-0\d; at most 1e-05 is allowed"):
        check(path, replace(predictor, calibration=Calibration(temperature=1.001)))
    assert not path.exists()


CONVOLUTIONS = {
    "as the cnn": [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(784, 10)],
    "strides, groups, no bias": [
        *(nn.Conv2d(1, 4, (5, 3), stride=(2, 1), dilation=2, bias=False), nn.GELU()),
        *(nn.Conv2d(4, 4, 3, groups=2), nn.AvgPool2d(3, stride=2, padding=1), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(4 * 4 * 11, 10)),
    ],
    "pooling that covers the edge": [nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Flatten(), nn.Linear(196, 10)],
}


def convolutional(tmp_path, layers):
    predictor = untrained.predictor(tmp_path)
    torch.manual_seed(0)
    network = predictor.network
    network.layers = nn.Sequential(*layers).eval()
    network.input_shape = (1, 28, 28)
    return predictor


@pytest.mark.parametrize("layers", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolutions_and_pooling_are_those_of_torch(layers, tmp_path):
    predictor = convolutional(tmp_path, layers)
    path = written(predictor, tmp_path / "it.onnx")
    assert np.abs(probabilities(path, IMAGES) - expected(predictor, IMAGES)).max() < 1e-6
    assert check(path, predictor) < 1e-5


def test_a_perceptron_may_begin_with_dropout(tmp_path):
    predictor = untrained.predictor(tmp_path, "model.hidden=[8]")
    predictor.network.layers = nn.Sequential(nn.Dropout(0.2), *predictor.network.layers).eval()
    path = written(predictor, tmp_path / "it.onnx")
    assert np.abs(probabilities(path, IMAGES) - expected(predictor, IMAGES)).max() < 1e-6


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3, padding="same"), nn.Conv2d(1, 1, 3, padding_mode="circular"), nn.Mish()],
    ids=str,
)
def test_a_layer_without_a_node_is_refused_in_one_line_that_says_which(layer, tmp_path):
    predictor = convolutional(tmp_path, [layer, nn.Flatten(), nn.Linear(784, 10)])
    with pytest.raises(
        ExportError, match=r"^layers\.0: expected a layer that ONNX export knows, got .*; add"
    ) as caught:
        written(predictor, tmp_path / "it.onnx")
    assert "\n" not in str(caught.value) and type(layer).__name__ in str(caught.value)


def test_a_forward_pass_that_is_more_than_its_layers_is_refused_and_its_file_taken_away(tmp_path):
    predictor = untrained.predictor(tmp_path)
    network = predictor.network
    plain = network.logits
    network.logits = lambda images: plain(images) + network.normalise(images)[:, :10]
    path = written(predictor, tmp_path / "it.onnx")
    with pytest.raises(ExportError, match=r"torch's differ by"):
        check(path, predictor)
    assert not path.exists()


def test_export_writes_both_forms_and_measures_8_bits(tmp_path):
    source = untrained.checkpoint(tmp_path / "it.ckpt", "model.hidden=[64,32]")
    said = export(
        ExportConfig(checkpoint=str(source), dtype="uint8", channel=False, int8=True, data_dir=None), tmp_path
    )
    exact, small = tmp_path / "mnist_mlp.onnx", tmp_path / "mnist_mlp.int8.onnx"
    assert small.stat().st_size < exact.stat().st_size / 3
    dataset = synthetic()
    images = dataset.test_images.squeeze(1)
    answers = probabilities(small, images).argmax(1)
    assert f"{np.mean(answers == dataset.test_labels):.2%} of the 1,000 test images" in said
    predictor = exporting.Predictor.load(source)
    same = probabilities(exact, images).argmax(1) == expected(predictor, images).argmax(1)
    assert same.all()
    assert np.mean(answers == expected(predictor, images).argmax(1)) > 0.98
    with safe_open(tmp_path / "mnist_mlp.safetensors", "pt") as tensors:
        assert json.loads(tensors.metadata()["hidden"]) == [64, 32]
        for name, value in predictor.network.state_dict().items():
            assert torch.equal(tensors.get_tensor(name), value)


@pytest.mark.slow
def test_the_command_exports_and_a_wrong_checkpoint_is_one_line(tmp_path):
    def command(place):
        return started.run("src/export.py", f"checkpoint={place}", f"hydra.run.dir={tmp_path / 'out'}", cwd=PROJECT)

    done = command(untrained.checkpoint(tmp_path / "it.ckpt"))
    assert done.returncode == 0 and "differ by at most" in done.stdout and not done.stderr
    done = command(tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("export.py: ") and done.stderr.count("\n") == 1


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(MissingPackageError, match=r"-m pip install no_such_package$") as caught:
        require("json", "no_such_package")
    assert caught.value.exit_code == 2
