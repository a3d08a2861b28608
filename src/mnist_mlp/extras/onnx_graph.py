"""A trained network as an ONNX graph, node by node, from grey levels to calibrated probabilities.

A layer without a node in `_add_layer` is refused: a graph without it would give other answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mnist_mlp.config.errors import UnsupportedError
from mnist_mlp.extras.inference.predictor import Predictor

OPSET, IR = 17, 8  # of 2022: old enough for every runtime, new enough for all that is used
INPUT, OUTPUT = "images", "probabilities"


def build(predictor: Predictor, *, dtype: str, channel: bool, metadata: dict[str, str]) -> onnx.ModelProto:
    """From grey levels to calibrated probabilities, normalisation and temperature included.

    Takes `(B, H, W)`, or `(B, C, H, W)` with `channel` or in colour: uint8 in 0..255 or float32 in [0, 1].

    Raises:
        UnsupportedError: the network has a layer that is not known here.
    """
    network, graph = predictor.network, _Graph()
    channels, height, width = network.image_shape
    if dtype == "uint8":
        graph.add("Cast", to=TensorProto.FLOAT)
    else:
        graph.add("Mul", np.float32(255))
    graph.add("Reshape", np.array([-1, channels, height, width]))
    graph.add("Sub", network.mean.numpy())
    graph.add("Div", network.std.numpy())
    if len(network.input_shape) == 1:
        graph.add("Flatten", axis=1)
    for name, layer in network.layers.named_children():
        _add_layer(graph, layer, f"layers.{name}")
    # The layers end with logits, whichever loss trained them, so the softmax is the right head for each.
    graph.add("Div", np.float32(predictor.calibration.temperature))
    graph.add("Softmax", output=OUTPUT, axis=1)
    shape: list[str | int | None] = ["batch", *([channels] if channel or channels > 1 else []), height, width]
    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mnist_mlp",
            [helper.make_tensor_value_info(INPUT, kind, shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(predictor.class_names)])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="mnist-mlp",
        producer_version=metadata["commit"],
        doc_string=f"Probabilities of the classes of an image of {height} x {width}; class_names has their names.",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


@dataclass
class _Graph:
    """A chain of nodes, each taking what the one before gave, and a constant or weights where it needs them."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    last: str = INPUT

    def add(
        self, kind: str, *values: Any, name: str = "", output: str = "", second_input: str = "", **options: Any
    ) -> None:
        """A node of this kind, whose inputs are the last output, the earlier output `second_input`, and arrays."""
        output = output or name or f"{kind.lower()}.{len(self.nodes)}"
        inputs = [self.last, second_input] if second_input else [self.last]
        for number, value in enumerate(values):
            inputs.append(f"{output}.{number}")
            self.weights.append(numpy_helper.from_array(np.asarray(value), inputs[-1]))
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **options))
        self.last = output


def _add_layer(graph: _Graph, layer: nn.Module, name: str) -> None:
    start = graph.last
    match layer:
        case nn.Linear():
            graph.add("Gemm", *_weights(layer), name=name, transB=1)
        case nn.Conv2d(padding_mode="zeros") if not isinstance(layer.padding, str):
            options: dict[str, Any] = {"strides": layer.stride, "dilations": layer.dilation, "pads": 2 * layer.padding}
            graph.add("Conv", *_weights(layer), name=name, group=layer.groups, **options)
        case nn.MaxPool2d(return_indices=False):
            graph.add("MaxPool", name=name, dilations=_pair(layer.dilation), **_window(layer))
        case nn.AvgPool2d(divisor_override=None):
            graph.add("AveragePool", name=name, count_include_pad=int(layer.count_include_pad), **_window(layer))
        case nn.Flatten(start_dim=1, end_dim=-1):
            graph.add("Flatten", name=name, axis=1)
        case nn.Dropout():
            pass
        case nn.ReLU() | nn.Sigmoid() | nn.Tanh():
            graph.add(type(layer).__name__.replace("ReLU", "Relu"), name=name)
        case nn.LeakyReLU():
            graph.add("LeakyRelu", name=name, alpha=layer.negative_slope)
        case nn.ELU():
            graph.add("Elu", name=name, alpha=layer.alpha)
        case nn.SiLU():
            graph.add("Sigmoid")
            graph.add("Mul", second_input=start, name=name)
        case nn.GELU(approximate="none"):  # x (1 + erf(x / sqrt 2)) / 2; its own operator came with a later opset
            graph.add("Mul", np.float32(math.sqrt(0.5)))
            graph.add("Erf")
            graph.add("Add", np.float32(1))
            graph.add("Mul", second_input=start)
            graph.add("Mul", np.float32(0.5), name=name)
        case _:
            raise UnsupportedError(
                f"{name}: expected a layer that ONNX export knows, got {type(layer).__name__}; add its nodes to "
                "_add_layer in extras/onnx_graph.py"
            )


def _weights(layer: nn.Linear | nn.Conv2d) -> list[NDArray[np.float32]]:
    return [part.detach().numpy() for part in (layer.weight, layer.bias) if part is not None]


def _window(layer: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, Any]:
    """Options that both kinds of pooling have."""
    return {
        "kernel_shape": _pair(layer.kernel_size),
        "strides": _pair(layer.stride),
        "pads": 2 * _pair(layer.padding),
        "ceil_mode": int(layer.ceil_mode),
    }


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)
