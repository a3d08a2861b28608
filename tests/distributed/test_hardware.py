"""GPUs that torch cannot use are found before torch is imported: with a stand-in for NVIDIA's driver library."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.kill_and_resume import configuration

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed import hardware, preflight
from mnist_mlp.distributed.preflight import require_accelerator
from mnist_mlp.distributed.world import World, gpu_index, ranks_per_node


class Driver:
    """The six functions of libcuda that are asked; each returns 0 for success and fills in what it is given."""

    def __init__(self, version: int, *capabilities: tuple[int, int]) -> None:
        self.version, self.capabilities = version, capabilities

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.capabilities)
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = self.version
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self.capabilities[device.value][{75: 0, 76: 1}[attribute]]
        return 0


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    built_for: dict[str, str | None] = {"cuda": "13.2", "hip": None}
    monkeypatch.setattr(hardware, "torch_built_for", built_for.get)
    return built_for


def trainer(**values: Any) -> TrainerConfig:
    return replace(configuration().trainer, **values)


@pytest.mark.parametrize(
    ("driver", "cuda", "reason"),
    [
        (Driver(12040, (9, 0)), "13.2", r"driver goes up to CUDA 12\.4, torch is built for 13\.2; update the driver"),
        (Driver(13000, (7, 0), (6, 1)), "13.2", r"GPU has compute capability 7\.0, torch needs 7\.5"),
        (Driver(13000, (9, 0)), None, "torch is built without CUDA"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_refused_with_the_reason_and_auto_takes_the_cpu(
    monkeypatch: pytest.MonkeyPatch, wheel: dict[str, str | None], driver: Driver, cuda: str | None, reason: str
) -> None:
    wheel["cuda"] = cuda
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: driver)
    with pytest.raises(ConfigError, match=rf"only a CPU \(.*{reason}"):
        require_accelerator(trainer(accelerator="gpu"))
    require_accelerator(trainer(accelerator="auto"))
    assert not hardware.uses_gpu("auto")


def test_another_kind_of_gpu_is_named_beside_the_cpu(
    monkeypatch: pytest.MonkeyPatch, wheel: dict[str, str | None]
) -> None:
    wheel["cuda"] = "13.2"
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: Driver(13000, (9, 0)))
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    with pytest.raises(ConfigError, match=r"got 'mps'; it has an NVIDIA GPU \(cuda\) and the CPU: use"):
        require_accelerator(trainer(accelerator="mps"))


def test_a_driver_of_the_same_major_version_serves_and_old_cards_beside_new_ones_are_not_counted(
    monkeypatch: pytest.MonkeyPatch, wheel: dict[str, str | None]
) -> None:
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: Driver(13000, (9, 0), (7, 5), (6, 1)))
    assert hardware.cuda_devices() == [0, 1]
    require_accelerator(trainer(accelerator="gpu"))
    assert ranks_per_node(trainer(strategy="ddp", devices="auto")) == 2


def test_an_amd_device_needs_a_torch_that_is_built_for_it(
    monkeypatch: pytest.MonkeyPatch, wheel: dict[str, str | None]
) -> None:
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: None)
    monkeypatch.setattr(hardware.Path, "exists", lambda path: str(path) == "/dev/kfd")
    assert not hardware.has_rocm()
    wheel["hip"] = "7.1"
    assert hardware.has_rocm()


def test_torch_is_asked_for_its_cuda_without_being_imported() -> None:
    import torch

    assert hardware.torch_built_for("cuda") == torch.version.cuda
    assert hardware.torch_built_for("hip") == torch.version.hip


def test_an_apple_gpu_refuses_64_bits_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "has_mps", lambda: True)
    with pytest.raises(ConfigError, match=r"trainer\.precision: expected 32-true on an Apple GPU"):
        require_accelerator(trainer(accelerator="auto", precision="64-true"))
    require_accelerator(trainer(accelerator="cpu", precision="64-true"))


def test_a_rank_has_the_gpu_that_the_list_names_or_the_only_one_that_its_task_sees(
    monkeypatch: pytest.MonkeyPatch, wheel: dict[str, str | None]
) -> None:
    second = World(rank=1, size=2, local_rank=1, local_size=2)
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: Driver(13020, *[(9, 0)] * 4))
    assert gpu_index(trainer(devices=[2, 3]), second) == 3
    assert gpu_index(trainer(devices=2), second) == 1
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: Driver(13020, (6, 1), (9, 0), (9, 0)))  # an old one first
    assert gpu_index(trainer(devices=2), second) == 2
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: Driver(13020, (9, 0)))
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert gpu_index(trainer(devices=[2, 3]), second) == 0


@pytest.mark.parametrize(
    ("gpus", "devices", "complaint"),
    [
        (0, [3], r"expected a number of processes on the CPU, got the indices \[3\]"),
        (1, [3], r"expected GPUs that torch can use here, of \[0\], got \[3\]"),
        (1, 2, "expected at most 1 GPU, as this machine has, got 2"),
        pytest.param(0, [1, 0], None, marks=pytest.mark.engine),
        (4, [3], None),
    ],
)
def test_a_device_that_is_not_there_is_refused_also_if_it_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, wheel: dict[str, str | None], gpus: int, devices: Any, complaint: str | None
) -> None:
    monkeypatch.setattr(hardware, "_cuda_driver", lambda: Driver(13020, *[(9, 0)] * gpus))
    config = replace(configuration(), trainer=trainer(devices=devices))
    with pytest.raises(ConfigError, match=complaint) if complaint else nullcontext():
        preflight.require_machine(config)


@pytest.mark.parametrize(
    ("threads", "of_slurm", "expected"),
    [("", "", 8), ("4", "", 4), ("4", "2", 2), ("0", "3", 3), ("1", "", 1), ("x", "", 8)],
)
def test_the_cores_are_those_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, threads: str, of_slurm: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", of_slurm)
    assert hardware.cores() == expected


@pytest.mark.parametrize("left", [None, SimpleNamespace(origin=None)])  # no folder; one with __pycache__ alone
def test_a_copy_without_the_engine_says_so(left: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: left)
    preflight.require_machine(configuration("engine=plain"))
    with pytest.raises(ConfigError, match="engine: expected plain, as the folder mnist_mlp/engine was deleted"):
        preflight.require_machine(configuration("engine=fast"))
