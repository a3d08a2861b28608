"""A trained network as ONNX and safetensors: files that need neither this project nor torch.

The ONNX graph is built node by node, without `torch.onnx.export`: a multilayer perceptron is a dozen nodes, they
come out under names that a person can read, and neither a tracer nor its warnings stand in between. Whether the graph
computes what torch does is not taken on trust: onnxruntime runs it before the export counts as done, beside the
network's own forward pass. A file of 8 bits is compared with it, and the difference is printed.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import save
from torch import Tensor

from mnist_mlp.config.commands import ExportConfig
from mnist_mlp.config.errors import ExportError
from mnist_mlp.data.synthetic import draw
from mnist_mlp.extras.inference.predictor import Predictor
from mnist_mlp.extras.onnx_graph import INPUT, OUTPUT, build
from mnist_mlp.runs import checkpoint_file, directories
from mnist_mlp.runs.chosen_checkpoint import chosen
from mnist_mlp.runs.result import git_commit

TOLERANCE = 1e-5  # largest difference of a probability that rounding explains


def export(config: ExportConfig, directory: Path) -> str:
    """Write the network of a checkpoint to `directory`; returns what was written and how well it agrees.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        ExportError: the network has a layer that is not known here, or onnxruntime does not give what torch gives.
        DataError: 8-bit weights are to be measured, and the test images cannot be had.
    """
    predictor = Predictor.load(chosen(config.checkpoint)[0])
    described = metadata(predictor)
    model = build(predictor, dtype=config.dtype, channel=config.channel, metadata=described)
    target = directory / "mnist_mlp.onnx"
    onnx.save_model(model, target)
    difference = check(target, predictor)
    tensors = directory / "mnist_mlp.safetensors"
    tensors.write_bytes(save(predictor.network.state_dict(), metadata=described))
    lines = [
        f"network          {predictor.described(newest=config.checkpoint is None)}",
        f"onnx             {directories.shown(target)}   {_kilobytes(target)}",
        f"                 takes {INPUT} {_signature(model)}, gives {OUTPUT} (B, {len(predictor.class_names)})",
        f"                 onnxruntime and torch differ by at most {difference:.1e}",
        f"safetensors      {directories.shown(tensors)}   {_kilobytes(tensors)}",
    ]
    if config.int8:
        small = directory / "mnist_mlp.int8.onnx"
        shrink(target, small)
        lines += [
            f"int8             {directories.shown(small)}   {_kilobytes(small)}",
            _compared(target, small, predictor, config.data_dir),
        ]
    return "\n".join(lines)


def metadata(predictor: Predictor) -> dict[str, str]:
    """Metadata for every exported file; lists as JSON."""
    config, calibration, network = predictor.config, predictor.calibration, predictor.network
    content = {
        "class_names": json.dumps(list(predictor.class_names)),
        "data": config.data.name,
        "hidden": json.dumps(list(getattr(config.model, "hidden", []))),
        "activation": config.model.activation,
        "mean": _in_unit_range(network.mean),
        "std": _in_unit_range(network.std),
        "temperature": str(calibration.temperature),
        "threshold": str(calibration.threshold),
        "commit": git_commit() or "unknown",
    }
    run = directories.read(predictor.checkpoint.parent.parent)
    # The run tested its best checkpoint, and that one alone.
    if predictor.checkpoint.name == checkpoint_file.BEST and run.status == directories.COMPLETED:
        accuracy = run.result["metrics"]["test/acc"]
        content |= {"test_accuracy": str(accuracy)} if accuracy is not None else {}
    return content


def _in_unit_range(levels: Tensor) -> str:
    """Grey levels 0..255, one for all channels or one for each, divided by 255, as JSON.

    Rounded to six digits: float32 is not exact beyond seven.
    """
    values = [float(f"{level / 255:.6g}") for level in levels.flatten().tolist()]
    return json.dumps(values[0] if len(values) == 1 else values)


def probabilities(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities `(N, classes)` by onnxruntime, for images `(N, H, W)` or `(N, C, H, W)` uint8, of a file."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    given = images if wanted.type == "tensor(uint8)" else images.astype(np.float32) / np.float32(255)
    answer: NDArray[np.float32] = session.run(None, {INPUT: given.reshape(len(images), *wanted.shape[1:])})[0]
    return answer


def check(path: Path, predictor: Predictor) -> float:
    """The largest difference between a probability from onnxruntime and from torch, over 1,000 images of each kind.

    The images are synthetic digits, of which a network is sure (for another shape: faint noise), and noise, of which it
    is not. Both can be made on every machine.

    Raises:
        ExportError: it is more than rounding explains; the file is taken away.
    """
    shape = predictor.network.image_shape
    noise = np.random.default_rng(0).integers(0, 256, (1_000, *shape), np.uint8)
    digits = draw(1_000, seed=3)[0].reshape(-1, 1, 28, 28) if shape == (1, 28, 28) else noise // 16
    images = np.concatenate([digits, noise, np.zeros((1, *shape), np.uint8)])
    expected = predictor.log_probabilities(torch.from_numpy(images)).exp().numpy()
    difference = float(np.abs(probabilities(path, images) - expected).max())
    if not difference <= TOLERANCE:
        path.unlink()
        raise ExportError(
            f"{path.name}: its answers and torch's differ by {difference:.1e}; at most {TOLERANCE:g} is allowed"
        )
    return difference


def shrink(path: Path, target: Path) -> None:
    """Dynamic quantization: 8-bit weights; activations are quantized at run time.

    Weights are unsigned: signed ones overflow in onnxruntime's products on processors without VNNI, and one digit in
    seven was then classified differently.
    """
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it logs a recommendation to preprocess the model, which changes nothing for an MLP
    try:
        quantize_dynamic(path, target, weight_type=QuantType.QUInt8, per_channel=True)
    finally:
        root.setLevel(level)


def _compared(path: Path, small: Path, predictor: Predictor, data_dir: str | None) -> str:
    dataset = predictor.data_set(data_dir)
    exact, rounded = (probabilities(file, dataset.test_images).argmax(1) for file in (path, small))
    accuracies = [float((answers == dataset.test_labels).mean()) for answers in (exact, rounded)]
    return (
        f"                 {accuracies[1]:.2%} of the {len(exact):,} test images; "
        f"with 32 bits {accuracies[0]:.2%}, {int((exact != rounded).sum())} answers differ"
    )


def _signature(model: onnx.ModelProto) -> str:
    tensor = model.graph.input[0].type.tensor_type
    sizes = ", ".join("B" if part.dim_param else str(part.dim_value) for part in tensor.shape.dim)
    return f"({sizes}) {'uint8 0..255' if tensor.elem_type == TensorProto.UINT8 else 'float32 in [0, 1]'}"


def _kilobytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e3:,.0f} kB"
