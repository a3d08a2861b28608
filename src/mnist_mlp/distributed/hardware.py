"""Hardware of this machine: GPUs and cores, found without importing torch, so that checks take no time."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import sys
from importlib.util import find_spec
from pathlib import Path

# A step with fewer multiply-adds in its forward pass uses one thread. More would wait for one another longer than they
# work; on a busy machine a step would take a hundred times as long. On two idle cores two threads took 1.15 times as
# long as one thread at 28 million multiply-adds, 0.88 times at 112 million.
MIN_WORK_FOR_THREADS = 50_000_000

# The oldest NVIDIA GPUs that torch's wheels have kernels for (Turing).
OLDEST_CAPABILITY = (7, 5)
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*, of cuda.h


def has_cuda() -> bool:
    return bool(cuda_devices())


def cuda_devices() -> list[int]:
    """Indices of the NVIDIA GPUs that torch can use, among those that the driver shows."""
    return _usable_cuda()[0]


def why_no_cuda() -> str | None:
    """Why torch cannot use the NVIDIA GPU of this machine; None if it can, or if there is no GPU."""
    return _usable_cuda()[1]


def _usable_cuda() -> tuple[list[int], str | None]:
    """Indices of usable GPUs, and why there are none, from the driver: /dev/nvidia* may exist without a GPU."""
    driver = _cuda_driver()
    if driver is None or driver.cuInit(0) != 0:
        return [], None
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return [], None
    wheel = torch_built_for("cuda")
    if wheel is None:
        return [], "torch is built without CUDA; install one that is built for it"
    driver.cuDriverGetVersion(ctypes.byref(version))
    if version.value // 1000 < int(wheel.partition(".")[0]):  # CUDA works across the minor versions of a major one
        newest = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return [], f"the NVIDIA driver goes up to CUDA {newest}, torch is built for {wheel}; update the driver"
    capabilities = [_capability(driver, index) for index in range(count.value)]
    usable = [index for index, capability in enumerate(capabilities) if capability >= OLDEST_CAPABILITY]
    if not usable:
        best, oldest = (f"{major}.{minor}" for major, minor in (max(capabilities), OLDEST_CAPABILITY))
        return [], f"the NVIDIA GPU has compute capability {best}, torch needs {oldest}"
    return usable, None


def _capability(driver: ctypes.CDLL, index: int) -> tuple[int, int]:
    device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    return major.value, minor.value


def _cuda_driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


@functools.cache
def torch_built_for(platform_name: str) -> str | None:
    """The version of `cuda` or `hip` that the installed torch is built for, from its version.py; None if for none."""
    package = find_spec("torch")
    if package is None or package.origin is None:
        return None
    text = (Path(package.origin).parent / "version.py").read_text()
    found = re.search(rf"^{platform_name}\b.*= '([\d.]+)", text, re.MULTILINE)
    return found[1] if found else None


def has_rocm() -> bool:
    """Whether torch can use an AMD GPU: the kernel has its device, and torch is built for ROCm."""
    return Path("/dev/kfd").exists() and torch_built_for("hip") is not None


def has_mps() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def has_gpu() -> bool:
    return has_cuda() or has_rocm() or has_mps()


def uses_gpu(accelerator: str) -> bool:
    """Whether `trainer.accelerator` means a GPU on this machine."""
    return accelerator in ("gpu", "cuda", "mps") or (accelerator == "auto" and has_gpu())


def uses_cuda(accelerator: str) -> bool:
    """Whether `trainer.accelerator` means a device that torch calls `cuda`: a GPU of NVIDIA or AMD."""
    return accelerator in ("auto", "gpu", "cuda") and (has_cuda() or has_rocm())


def uses_mps(accelerator: str) -> bool:
    """Whether `trainer.accelerator` means an Apple GPU on this machine."""
    return has_mps() and accelerator in ("auto", "gpu", "mps")


def cores() -> int:
    """Number of cores for this process: its CPU affinity, limited by OMP_NUM_THREADS and SLURM_CPUS_PER_TASK."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")]
    return min([allowed, *(int(number) for number in given if number.isdigit() and number != "0")])


def cpu_threads(batch_size: int, parameters: int, processes: int = 1) -> int:
    """Number of threads for a training step of this size, in each of `processes` processes on this machine."""
    return max(1, cores() // processes) if batch_size * parameters >= MIN_WORK_FOR_THREADS else 1
