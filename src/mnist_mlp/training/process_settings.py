"""Settings of torch and of Lightning for the whole process: threads, memory, warnings."""

from __future__ import annotations

import logging
import os
import warnings

import torch

from mnist_mlp.config.schema import Config
from mnist_mlp.data.run_length import images_per_step
from mnist_mlp.distributed.hardware import cpu_threads, uses_gpu


def threads_of_one_network(config: Config, parameters: int, *, ranks: int = 1) -> int:
    """Number of threads to train one network with; `ranks` on this machine share its cores."""
    return config.threads or cpu_threads(images_per_step(config.data, config.trainer), parameters, ranks)


def prepare_torch(config: Config, threads: int) -> None:
    """Set the number of threads, and avoid two costs of torch in every step."""
    torch.set_num_threads(threads)
    # Deterministic mode would fill every new tensor with NaN; this code reads no memory before it writes it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if not uses_gpu(config.trainer.accelerator):
        # Adam calls `torch.cuda.is_available` in every step. Lightning sets an option with which each call looks for
        # NVIDIA's library. Without that option a call is a hundred times as fast.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def quieten_lightning(*, resumes_within_epoch: bool = True) -> None:
    """Silence the banners of Lightning, and its warnings about what this project does differently on purpose.

    Args:
        resumes_within_epoch: whether the training loader of a resumed run goes on with the next batch.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning's use of torch
    if resumes_within_epoch:
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # `mnist_mlp.distributed` handles srun.
    warnings.filterwarnings("ignore", message=".*srun.* command is available on your system but is not used.*")
    warnings.filterwarnings(
        "ignore", message=".*csv exists and is not empty.*"
    )  # runs/loggers.py keeps the rows of that file
    warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")  # trainer.limit_val_batches=0
    # torchmetrics has summed over all ranks already.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.* when logging on epoch level.*")
