"""TensorBoard's events for what `SummaryWriter` writes slowly or not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mnist_mlp.config.keys import in_hparams, keys_where, leaves, shown_by_default
from mnist_mlp.config.schema import Config
from mnist_mlp.extras.inference.predictions import Predictions
from mnist_mlp.extras.tensorboard.probe import Layer
from mnist_mlp.model.networks import Network
from mnist_mlp.runs.loggers import tensorboard_tag
from mnist_mlp.runs.run_name import run_name

BINS = 60


def _file(writer: SummaryWriter) -> Any:
    """The event file, for events that `SummaryWriter` has no method for; open until the run ends."""
    return writer.file_writer


def picture(writer: SummaryWriter, tag: str, image: Image.Image, step: int) -> None:
    """As `add_image`, with the compression that suits a picture written while a network waits."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    bands = 1 if image.mode == "L" else 3
    content = Summary.Image(
        height=image.height, width=image.width, colorspace=bands, encoded_image_string=file.getvalue()
    )
    _file(writer).add_summary(Summary(value=[Summary.Value(tag=tag, image=content)]), step)


def histogram(writer: SummaryWriter, tag: str, values: Tensor, step: int) -> None:
    """As `add_histogram`, ten times as fast, of the finite values; nothing where there are none."""
    values = values.detach().flatten().cpu().double()  # in float32 a narrow range divided by BINS may be 0
    values = values[values.isfinite()]
    if len(values) == 0:
        return
    low, high = (float(end) for end in values.aminmax())
    if low == high:
        margin = 1e-12 * max(1.0, abs(low))
        low, high = low - margin, high + margin
    width = (high - low) / BINS
    numbers = ((values - low) / width).int().clamp_(0, BINS - 1)  # a sixth of the time of `histc`
    counts = torch.bincount(numbers, minlength=BINS).tolist()
    writer.add_histogram_raw(
        tag,
        min=low,
        max=high,
        num=len(values),
        sum=float(values.sum()),
        sum_squares=float(values.square().sum()),
        bucket_limits=[low + width * number for number in range(1, BINS + 1)],
        bucket_counts=counts,
        global_step=step,
    )


def precision_recall(
    writer: SummaryWriter, names: Sequence[str], predicted: Predictions, thresholds: int, step: int
) -> None:
    """As `add_pr_curve` for each of the first classes, those in `names`, against all others; counted in one pass."""
    classes, images = len(names), len(predicted.labels)
    bins = (predicted.probabilities[:, :classes] * (thresholds - 1)).astype(np.int64) + thresholds * np.arange(classes)
    shape = classes, thresholds
    in_bin = np.bincount(bins.ravel(), minlength=classes * thresholds).reshape(shape)
    of_these = np.flatnonzero(predicted.labels < classes)
    true_bins = bins[of_these, predicted.labels[of_these]]
    true_in_bin = np.bincount(true_bins, minlength=classes * thresholds).reshape(shape)
    found, true = (counts[:, ::-1].cumsum(axis=1)[:, ::-1] for counts in (in_bin, true_in_bin))  # from a threshold up
    false, missed = found - true, true[:, :1] - true
    rejected = images - found - missed
    precision, recall = true / np.maximum(found, 1), true / np.maximum(true[:, :1], 1)
    for number, name in enumerate(names):
        writer.add_pr_curve_raw(
            f"pr/{name}",
            true[number],
            false[number],
            rejected[number],
            missed[number],
            precision[number],
            recall[number],
            step,
            num_thresholds=thresholds,
        )


@torch.no_grad()
def graph(writer: SummaryWriter, network: Network, image: Tensor) -> None:
    """The network as boxes and arrows, under names that a person can read; `add_graph` would trace it and make up
    names.

    Only a chain of layers is drawn: nothing for a network whose answer to `image` `(1, ...)` is not that of its chain.
    """
    copy = deepcopy(network).eval()
    value = copy.normalise(image)
    nodes = [
        _node("images", "Placeholder", [], value.shape),
        _node("normalise", "Normalise", ["images"], value.shape),
    ]
    before, number, scope = "normalise", 0, "input"
    for position, part in enumerate(copy.layers):
        value, inputs = part(value), [before]
        if isinstance(part, Layer):
            number += 1
            scope = f"layer{number}"
            for name, parameter in part.named_parameters():
                nodes.append(_node(f"{scope}/{name}", "Variable", [], (None, *parameter.shape)))
                inputs.append(f"{scope}/{name}")
        name = f"{scope}/{type(part).__name__}"
        before = name if all(node.name != name for node in nodes) else f"{name}_{position}"
        nodes.append(_node(before, type(part).__name__, inputs, value.shape))
    logits = copy.logits(image)
    if value.shape != logits.shape or not torch.allclose(value.float(), logits.float()):
        return
    nodes.append(_node(f"loss/{copy.loss}", str(copy.loss), [before, "labels"], (None,)))
    nodes.append(_node("labels", "Placeholder", [], (None,)))
    _file(writer).add_event(Event(graph_def=GraphDef(node=nodes).SerializeToString()))


def _node(name: str, operation: str, inputs: list[str], shape: Sequence[int | None]) -> NodeDef:
    """`shape` is that of what comes out; its first place is the batch, whatever it is."""
    dimensions = [TensorShapeProto.Dim(size=-1)]
    dimensions += [TensorShapeProto.Dim(size=size) for size in shape[1:]]
    shapes = AttrValue.ListValue(shape=[TensorShapeProto(dim=dimensions)])
    return NodeDef(name=name, op=operation, input=inputs, attr={"_output_shapes": AttrValue(list=shapes)})


def hyperparameters(writer: SummaryWriter, config: Config, name: str) -> None:
    """A row of the HParams tab, called `name`.

    Its metrics are the final ones: `runs.loggers.log_final` calls them `final/<metric>`, and `tensorboard_tag` turns
    that into `result/<metric>`.
    """
    given = {key: value for key, value, _ in leaves(config)}
    row = {key: value for key, value in given.items() if key in keys_where(in_hparams)}
    row = {key: value if isinstance(value, int | float) else str(value) for key, value in row.items()}
    metrics = [*(f"{part}/{metric}" for part in ("val", "test") for metric in (*config.metrics, "loss")), "train/loss"]
    experiment, start, _ = hparams(row, {tensorboard_tag(f"final/{metric}"): None for metric in metrics})
    described = experiment.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(described.content)
    for column in content.experiment.hparam_infos:
        column.differs = column.name in keys_where(shown_by_default)
    described.content = content.SerializeToString()
    described = start.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(described.content)
    content.session_start_info.group_name = name  # runs of one name would be one row
    described.content = content.SerializeToString()
    for summary in (experiment, start):
        _file(writer).add_summary(summary)


def row_name(directory: Path) -> str:
    """The name of a run and its directory: `lr=0.003 hidden=[64] seed=1 (<time>/3)`."""
    place, name = "/".join(directory.parts[-2:]), run_name(directory)
    return f"{name} ({place})" if name else place


def text(writer: SummaryWriter, config: Config) -> None:
    rows = [f"| {name} | `{value}` |" for name, value, _ in leaves(config)]
    writer.add_text("config", "\n".join(["| key | value |", "| --- | --- |", *rows]))


def layout(writer: SummaryWriter) -> None:
    """Curves that belong together, in one chart each; tags are regular expressions, so that networks may differ."""
    writer.add_custom_scalars(
        {
            "Does it learn?": {
                "accuracy": ["Multiline", [r"accuracy/(train|val)"]],
                "loss": ["Multiline", [r"loss/(train|val)"]],
            },
            "How does it learn?": {
                "gradient norm of each layer": ["Multiline", [r"network/gradient_norm/layer\d+"]],
                "learning rate": ["Multiline", ["optimizer/lr"]],
                "images per second": ["Multiline", ["optimizer/images_per_second"]],
            },
        }
    )
