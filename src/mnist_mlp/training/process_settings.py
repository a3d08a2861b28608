"""Settings of torch and of Lightning for the whole process: threads, memory, warnings."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mnist_mlp.config.schema import Config
from mnist_mlp.distributed.hardware import cpu_threads, uses_gpu


def prepare_torch(config: Config, batch_size: int, parameters: int, networks: int, local_size: int) -> None:
    """Set the number of threads, and avoid two costs of torch in every step.

    Args:
        parameters: of one network.
        networks: members of the stack.
        local_size: ranks on this machine, which share its cores.
    """
    # Deterministic mode would fill every new tensor with NaN; this code reads no memory before it writes it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # The products of a stack are small: threads would wait for one another longer than they work.
    threads = cpu_threads(batch_size, parameters, local_size) if networks == 1 else 1
    torch.set_num_threads(config.threads or threads)
    if not uses_gpu(config.trainer.accelerator):
        # Adam calls `torch.cuda.is_available` in every step. Lightning sets an option with which each call looks for
        # NVIDIA's library. Without that option a call is a hundred times as fast.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def quieten_lightning() -> None:
    """Silence the banners of Lightning, and its warnings about what this project does differently on purpose."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning's use of torch
    # The loaders resume within an epoch from the optimizer step.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # `distributed` handles srun.
    warnings.filterwarnings("ignore", message=".*srun.* command is available on your system but is not used.*")
    warnings.filterwarnings("ignore", message=".*csv exists and is not empty.*")  # `loggers` keeps its rows
    # torchmetrics has summed over all ranks already.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.* when logging on epoch level.*")


@contextmanager
def imports_left_out_of_garbage_collection() -> Iterator[None]:
    """In the block the garbage collector ignores all objects that exist when the block begins.

    Then `gc.collect` takes 10 ms, not 200. For a process that trains stack after stack, and calls it after each: a
    trainer, its modules and its data set refer to one another, and without `gc.collect` those of many stacks (110 MB
    each with MNIST) would stay in memory.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
