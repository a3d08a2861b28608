"""Recorded steps, as on a GPU, end in the bits of steps that run one by one; a stand-in records on the CPU."""

from __future__ import annotations

import csv
import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.kill_and_resume import configuration
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mnist_mlp.config.schema import Config
from mnist_mlp.engine import cuda_graphs, stack
from mnist_mlp.engine.cuda_graphs import Recorder, Work
from mnist_mlp.engine.job import Job
from mnist_mlp.engine.train_stack import train_stack
from mnist_mlp.optim.lr_schedule import lr_factor
from mnist_mlp.runs import checkpoint_file

aten = torch.ops.aten
FROM_PYTHON = (aten.lift_fresh.default, aten._local_scalar_dense.default)


class Tape(TorchDispatchMode):
    """A CUDA graph on the CPU: each operation with the numbers of its first time, on tensors that stay where they are.

    Like a graph it does nothing while it is recorded, and takes no values from Python and gives it none.
    """

    def __init__(self, work: Work, generators: Sequence[Generator]) -> None:
        super().__init__()
        self.operations: list[tuple[Callable[..., Any], Any, Any, list[Any]]] = []
        self.before: list[tuple[Tensor, Tensor]] = []
        drawn = [(generator, generator.get_state()) for generator in generators]
        with self:
            work()
        for tensor, values in reversed(self.before):
            tensor.copy_(values)
        for generator, state in drawn:
            generator.set_state(state)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert function not in FROM_PYTHON, "a recording reads memory of Python's, or Python its result"
        names = [argument.name for argument in function._schema.arguments]
        given = {**dict(zip(names, args, strict=False)), **(kwargs or {})}
        for argument in function._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                tensors = [leaf for leaf in tree_leaves(given.get(argument.name)) if isinstance(leaf, Tensor)]
                self.before += [(tensor, tensor.clone()) for tensor in tensors]
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, tree_leaves(result)))
        return result

    def replay(self) -> None:
        with torch.no_grad():
            for function, args, kwargs, results in self.operations:
                for old, new in zip(results, tree_leaves(function(*args, **kwargs)), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class TapeRecorder(Recorder):
    """Records on tapes from the second time on, as a GPU would; or never, with `tapes` None."""

    def __init__(self, tapes: list[Tape] | None) -> None:
        def record(work: Work, generators: Sequence[Generator]) -> Work:
            assert tapes is not None
            tapes.append(Tape(work, generators))
            return tapes[-1].replay

        super().__init__(record)
        self._recordable = tapes is not None


# 100 images: in each epoch chunks of 2, 2 and 1 steps, the last one of 4 images.
SHORT = [
    *("data.val_size=5900", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "model.hidden=[8]"),
    *("trainer.log_every_n_steps=2", "trainer.max_epochs=4", "threads=1", "trainer.precision=64-true"),
    *("checkpoint.every_seconds=1e6", "model.dropout=0"),
]
NOISE = ["model.dropout=0.2", "augment=elastic", "augment.blank=0.1"]
CASES = [
    [*NOISE, "averaging.decay=0.9", "trainer.gradient_clip_val=0.1", "trainer.precision=32-true", "logger=csv"],
    ["optimizer.weight_decay=0.1", "averaging.decay=0.9", "logger=csv"],
    ["optimizer=adam", "optimizer.weight_decay=0.1", "logger=csv", "trainer.gradient_clip_val=0.1"],
    [
        *("optimizer=sgd", "optimizer.lr=0.1", "optimizer.nesterov=true", "model.loss=mse", "logger=none"),
        *("trainer.gradient_clip_val=0.001", "trainer.gradient_clip_algorithm=value"),
    ],
]


def trained(directory: Path, *configs: Config) -> list[dict[str, Any]]:
    """What each of the runs, trained as one stack, leaves."""
    jobs = [Job(config=config, directory=directory / str(number)) for number, config in enumerate(configs)]
    for job in jobs:
        job.directory.mkdir(parents=True, exist_ok=True)
    train_stack(jobs, test=False)
    return [checkpoint_file.read(job.directory / "checkpoints" / checkpoint_file.LAST) for job in jobs]


def furthest(left: dict[str, Any], right: dict[str, Any]) -> float:
    """The largest difference of two checkpoints: of weights, averages and optimizer states."""
    pairs = [tree_leaves([content["state_dict"], content["optimizer_states"]]) for content in (left, right)]
    return max(
        float(abs(torch.as_tensor(a, dtype=torch.double) - torch.as_tensor(b, dtype=torch.double)).max())
        for a, b in zip(*pairs, strict=True)
        if isinstance(a, float | Tensor) and torch.as_tensor(a).numel()
    )


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Tape] | None], None]:
    """Have the steps of the runs to come recorded on tapes that go into a list; with None as on a GPU, one by one."""
    return lambda tapes: monkeypatch.setattr(stack, "recorder_for", lambda _: TapeRecorder(tapes))


@pytest.mark.parametrize(
    "overrides", [CASES[0], *(pytest.param(case, marks=pytest.mark.slow) for case in CASES[1:])], ids=" ".join
)
def test_recorded_steps_end_in_the_bits_of_steps_one_by_one(
    tmp_path: Path, recording: Callable[[list[Tape] | None], None], overrides: list[str]
) -> None:
    config = configuration(*SHORT, *overrides)
    ordinary = trained(tmp_path / "ordinary", config)[0]
    recording(None)
    eager = trained(tmp_path / "eager", config)[0]
    recording(tapes := [])
    recorded = trained(tmp_path / "recorded", config)[0]
    assert len(tapes) == 2  # a chunk of whole minibatches, and that of the small one
    left = [weakref.ref(tape) for tape in tapes]
    tapes.clear()
    gc.collect()  # as before a recording, which an old graph that is freed meanwhile would spoil
    assert not any(tape() for tape in left)
    assert furthest(recorded, eager) == 0
    if config.model.dropout == 0:  # noise comes from other generators
        assert furthest(recorded, ordinary) < 1e-9
    rows = next(iter(recorded["callbacks"].values()))["rows"]
    steps = [5, 10, 15, 20]
    rates = [config.optimizer.lr * lr_factor(config.scheduler, step - 1, 20) for step in steps]
    assert [row["lr"] for row in rows] == pytest.approx(rates, rel=1e-12)
    if config.logger.csv:
        points = [row for row in csv_rows(tmp_path / "recorded") if row["lr"]]
        known = [row for row in csv_rows(tmp_path / "ordinary") if row["lr"]]
        assert len(points) == len(known) == 12  # ten multiples of log_every_n_steps, and the ends of two other epochs
        norms = [[float(row["gradient_norm"]) for row in which] for which in (points, known)]
        assert all(norm > 0 for norm in norms[0])
        if config.model.dropout == 0:
            assert norms[0] == pytest.approx(norms[1], rel=1e-6)


def csv_rows(directory: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((directory / "0" / "csv" / "metrics.csv").read_text().splitlines()))


@pytest.mark.slow
def test_each_member_of_a_recorded_stack_has_its_own_rate_loss_and_noise(
    tmp_path: Path, recording: Callable[[list[Tape] | None], None]
) -> None:
    own = [
        ["seed=1", "optimizer.lr=1e-2", "model.loss=mse"],
        ["seed=2", "scheduler=cosine", "model.dropout=0.3", "averaging.decay=0.9"],
        ["seed=3", "scheduler=constant", *NOISE],
    ]
    configs = [configuration(*SHORT, "logger=none", *words) for words in own]
    recording([])
    together = trained(tmp_path / "stacked", *configs)
    for number, config in enumerate(configs):
        recording([])
        alone = trained(tmp_path / f"alone{number}", config)[0]
        assert furthest(together[number], alone) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("first", ["recorded", "ordinary"])
def test_a_run_goes_on_recorded_from_a_checkpoint_of_a_recorded_run_and_of_one_on_the_cpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recording: Callable[[list[Tape] | None], None],
    first: str,
) -> None:
    """Also from the middle of an epoch, where the first batch that it sees is the small one."""
    if first == "recorded":  # its checkpoints say that the tensors were on a GPU
        monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
    noise = NOISE if first == "recorded" else []
    config = configuration(*SHORT, "scheduler=constant", "logger=none", *noise)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    if first == "recorded":
        recording([])
    expected = trained(whole, config)[0]
    trained(stopped, replace(config, trainer=replace(config.trainer, max_steps=9)))
    recording([])
    found = trained(stopped, replace(config, resume=str(stopped / "0")))[0]
    assert furthest(found, expected) < 1e-9 if first == "ordinary" else furthest(found, expected) == 0


def test_work_is_recorded_for_each_shape_whichever_comes_first() -> None:
    done: list[str] = []

    def record(work: Work, generators: Sequence[Generator]) -> Work:
        work()
        recorded = done.pop()
        return lambda: done.append(f"{recorded} again")

    recorded = Recorder(record)
    for shape in ("small", "large", "large", "small", "large"):
        recorded(shape, lambda shape=shape: done.append(shape))  # type: ignore[misc]
    assert done == ["small", "large", "large again", "small again", "large again"]


def test_work_that_cannot_be_recorded_is_done_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(work: Work, generators: Sequence[Generator]) -> Work:
        raise RuntimeError("operation not permitted when stream is capturing")

    done: list[int] = []
    recorded = Recorder(refuse)
    for _ in range(4):
        recorded("shape", lambda: done.append(1))
    assert len(done) == 4
    assert caplog.text.count("the steps cannot be recorded as a CUDA graph and run one by one: operation not") == 1


def test_no_garbage_is_collected_while_a_graph_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of an earlier run, freed meanwhile, would spoil the recording."""
    events: list[str] = []

    class Graph:
        def register_generator_state(self, generator: Generator) -> None:
            events.append("generator")

        def replay(self) -> None:
            events.append("replay")

    @contextmanager
    def capture(graph: Graph, stream: str) -> Iterator[None]:
        events.append(f"begin on {stream}")
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: "a new stream")
    monkeypatch.setattr(cuda_graphs, "NEEDS_NO_REGISTRATION", "99")
    replay = cuda_graphs.record(lambda: events.append(f"collecting: {gc.isenabled()}"), [Generator()])
    assert gc.isenabled()
    replay()
    assert events == ["generator", "begin on a new stream", "collecting: False", "replay"]
