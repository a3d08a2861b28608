"""Which accelerators this machine has, found without importing torch: a wrong one must be refused at once."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

# Multiply-adds of a forward pass from which a second thread pays. Below, threads wait for one another longer than they
# work, and on a machine that is busy otherwise a step takes a hundred times as long.
WORTH_THREADS = 20_000_000


def has_cuda() -> bool:
    return cuda_devices() > 0


def cuda_devices() -> int:
    """Asks the NVIDIA driver itself: a device node may be there without a usable GPU behind it."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    succeeded = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if succeeded else 0


def uses_gpu(accelerator: str) -> bool:
    """Whether `trainer.accelerator` stands for a GPU on this machine."""
    return accelerator in ("gpu", "cuda", "mps") or (accelerator == "auto" and (has_cuda() or has_rocm() or has_mps()))


def has_rocm() -> bool:
    return Path("/dev/kfd").exists()


def has_mps() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def cores() -> int:
    """Cores for this process: those it may run on, fewer where OpenMP or a job of SLURM was given fewer."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")]
    return min([allowed, *(int(number) for number in given if number.isdigit() and number != "0")])


def cpu_threads(batch_size: int, parameters: int, processes: int = 1) -> int:
    """How many threads a training step of this size should have on this machine, shared by so many processes."""
    return max(1, cores() // processes) if batch_size * parameters >= WORTH_THREADS else 1
