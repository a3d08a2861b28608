"""Training: from a typed configuration to a run directory with a result.

train               the recipe: data, module, callbacks, trainer; fit, then one test of the best checkpoint
run                 the parts of a run, and what they leave in its result
trainer             the `lightning.Trainer`
process_settings    threads, memory and warnings of the whole process
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L

from mnist_mlp.callbacks import build_callbacks
from mnist_mlp.config.keys import keys_where, limits_run
from mnist_mlp.config.optional import required
from mnist_mlp.config.schema import Config
from mnist_mlp.data.datamodule import build_datamodule
from mnist_mlp.distributed.launch import launched
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.distributed.strategy import wait_for_ranks
from mnist_mlp.distributed.world import ranks_of_run
from mnist_mlp.runs import directories
from mnist_mlp.runs.result import Result
from mnist_mlp.runs.resume_checkpoint import newest_checkpoint
from mnist_mlp.runs.run_directory import locked_for_run, record_or_compare_data, refuse_changes
from mnist_mlp.runs.signals import interruptible, second_signal_ends_process
from mnist_mlp.runs.thinning import thin
from mnist_mlp.training.process_settings import prepare_torch, quieten_lightning, threads_of_one_network
from mnist_mlp.training.run import begin_result, build_module, count_parameters, open_run
from mnist_mlp.training.trainer import build_trainer

log = logging.getLogger(__name__)


def train(
    config: Config,
    directory: Path,
    *,
    callbacks: Sequence[L.Callback] = (),
    test: bool = True,
    bar: str | None = "",
) -> Result:
    """Train and validate a network, and test the best checkpoint once.

    If `config.resume` is not None, the run in `directory` is resumed. The path in `config.resume` is not used here: the
    command has resolved it to `directory`.

    Args:
        directory: gets checkpoints, logs and result.json, which is also written if the run fails (but not if
            a resume is refused).
        callbacks: added to those of the configuration; tune.py adds its pruning callback.
        test: whether to test at the end; tune.py does not.
        bar: title of the progress bar; None for no bar.

    Raises:
        UserError: the configuration cannot be trained on this machine, or training failed. The message is one line.
        Stopped: a signal ended the run, or a search pruned it; if training had begun, its state has been saved.
    """
    require_machine(config)
    directory = Path(directory)
    recorded = directories.read(directory)
    if (
        config.resume is not None
        and recorded.status == directories.COMPLETED
        and _same_length(config, recorded.result["config"])
    ):
        refuse_changes(asdict(config), recorded.result["config"], scheduler=config.scheduler.name)
        log.info("%s is complete already", directory)
        # The process may have been killed after it wrote the result, before it deleted files.
        thin(directory, config.sweep.keep)
        return Result.of(recorded)

    result = begin_result(config, directory)
    # A context manager: starts the processes of the other ranks (one rank per device), unless torchrun or srun has; and
    # yields the `World` of this one.
    launch = launched(config, directory, on_rank_death=result.rank_died)
    with (
        locked_for_run(directory, config),
        interruptible(),
        second_signal_ends_process() if ranks_of_run(config.trainer) > 1 else nullcontext(),
        result.written(),
        launch as world,
        ExitStack() as at_end,
    ):
        with result.timed("setup"):
            chosen = [*build_callbacks(config.callbacks), *callbacks]
            data = build_datamodule(config)
            data.prepare_data()
            data.setup("fit")
            record_or_compare_data(directory, data.sha256)
            module = build_module(config, data)
            quieten_lightning(resumes_within_epoch=data.resumes_within_epoch)
            prepare_torch(config, threads_of_one_network(config, count_parameters(module), ranks=world.local_size))
            path = newest_checkpoint(config, directory) if config.resume is not None else None
            run = at_end.enter_context(
                open_run(config, directory, module, data, result, callbacks=chosen, resume_path=path)
            )
            if config.engine == "fast":
                # `engine.assembly.assemble`, for a stack of one network. It returns a LightningModule and a data module
                # of the engine, which wrap `module` and `data`. One batch of that data module is a chunk of many
                # optimizer steps.
                assemble = required("assemble")
                model, batches, trainer = assemble([run], world, bar=bar)
            else:
                model, batches, trainer = module, data, build_trainer(run, world, bar=bar)
        with result.timed("fit"):
            trainer.fit(model, datamodule=batches, ckpt_path=path, weights_only=True)
        # The other ranks read best.ckpt below. Rank 0 writes it in a thread, which has ended when its `fit` returns.
        wait_for_ranks(world)
        if world.rank == 0:
            run.calibrate()
        if test and data.sizes["test"] and config.trainer.limit_test_batches:
            with result.timed("test"):
                run.load_best()
                trainer.test(model, datamodule=batches, verbose=False)
        run.finish()
    if world.rank == 0:
        # Deletes files of the completed run by `sweep.keep`; with the default, `all`, it does nothing.
        thin(directory, config.sweep.keep)
    return result


def _same_length(config: Config, recorded: dict[str, Any]) -> bool:
    """Whether `config` limits the length of the run as the configuration `recorded` in its result.json does."""
    limits = [name.removeprefix("trainer.") for name in keys_where(limits_run)]
    return all(asdict(config.trainer)[limit] == recorded["trainer"][limit] for limit in limits)
