"""The surface is ordinary Lightning: what its users would guess works, in any folder and without the engine."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from helpers.commands import Command
from helpers.kill_and_resume import configuration
from lightning.pytorch.callbacks import GradientAccumulationScheduler

from mnist_mlp import DigitClassifier, DigitsDataModule
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.schema import PROJECT
from mnist_mlp.data.seeding import epoch_order
from mnist_mlp.training import train

TEN_LINES = """
import lightning as L
from mnist_mlp import DigitClassifier, DigitsDataModule, composed

config = composed("data=synthetic", "model.hidden=[32]")
data = DigitsDataModule(config)
module = DigitClassifier(config, data.spec)
trainer = L.Trainer(max_epochs=1, accelerator="cpu")
trainer.fit(module, datamodule=data)
trainer.test(module, datamodule=data)
probabilities = trainer.predict(module, datamodule=data)  # a list of (B, 10)
module = DigitClassifier.load_from_checkpoint(trainer.checkpoint_callback.best_model_path)
"""


@pytest.mark.slow
def test_ten_lines_with_a_trainer_of_ones_own_in_another_folder(tmp_path: Path) -> None:
    before = "import warnings; warnings.simplefilter('ignore')"
    check = "import torch; p = torch.cat(probabilities); print(p.shape, float((p.sum(1) - 1).abs().max()) < 1e-5)"
    (tmp_path / "mine.py").write_text(f"{before}\n{TEN_LINES}\n{check}\n")
    path = {"PYTHONPATH": str(PROJECT / "src"), "HOME": str(tmp_path)}
    program = Command(tmp_path / "mine.py", cwd=tmp_path, OMP_NUM_THREADS="1", **path)
    output, error = program.communicate()
    assert program.returncode == 0, error
    assert "torch.Size([1000, 10]) True" in output
    accuracy = re.search(r"test/acc\D+([\d.]+)", output)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.5


def test_the_readme_has_these_lines() -> None:
    assert TEN_LINES.strip() in (PROJECT / "README.md").read_text()


def fitted(*overrides: str, **trainer: Any) -> L.LightningModule:
    """The module after three steps, unless told otherwise, with a trainer of one's own."""
    config = configuration("model.hidden=[4]", *overrides)
    data = DigitsDataModule(config)
    module = DigitClassifier(config, data.spec)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, about loaders without workers
        trainer = {"accelerator": "cpu", "max_steps": 3, "limit_val_batches": 0, **quiet, **trainer}
        L.Trainer(**trainer).fit(module, datamodule=data)
    return module


def test_a_trainer_of_ones_own_may_train_and_clip_in_mixed_precision(tmp_path: Path) -> None:
    module = fitted(precision="bf16-mixed", gradient_clip_val=1.0, default_root_dir=tmp_path)
    assert module.global_step == 3


class Stop(L.Callback):
    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step == 2


def test_a_trainer_without_an_end_trains_under_a_schedule_that_needs_none(tmp_path: Path) -> None:
    endless = {"max_steps": -1, "max_epochs": -1, "callbacks": [Stop()], "default_root_dir": tmp_path}
    assert fitted("scheduler=constant", **endless).global_step == 2
    with pytest.raises(ConfigError, match="scheduler=one_cycle: expected a Trainer with max_epochs or max_steps"):
        fitted(**endless)


def test_a_module_can_be_pickled_for_processes_that_lightning_spawns() -> None:
    config = configuration("model.hidden=[4]")
    module = DigitClassifier(config, DigitsDataModule(config).spec).eval()  # no dropout
    images, labels = torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.tensor([3, 1])
    losses = [one.loss(one.network(images), labels) for one in (module, pickle.loads(pickle.dumps(module)))]
    assert torch.equal(*losses)


def test_a_trainer_that_accumulates_gradients_itself_is_refused(tmp_path: Path) -> None:
    expected = (
        r"L\.Trainer\(accumulate_grad_batches=4\).*trainer\.accumulate_grad_batches=4 or a larger data\.batch_size"
    )
    with pytest.raises(ConfigError, match=expected):
        fitted(accumulate_grad_batches=4, default_root_dir=tmp_path)


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_callback_that_accumulates_gradients_is_refused(engine: str, tmp_path: Path) -> None:
    config = configuration("trainer.max_epochs=2", "trainer.limit_train_batches=2", f"engine={engine}")
    with pytest.raises(ConfigError, match=r"accumulate_grad_batches=2\).*expected 1"):
        train(config, tmp_path, callbacks=[GradientAccumulationScheduler({1: 2})])


def test_the_data_module_gives_batches_without_a_trainer() -> None:
    data = DigitsDataModule(configuration("augment=elastic"))
    data.setup("fit")
    order = epoch_order(len(data.parts["train"][1]), data.config.seed, epoch=0)
    batches = list(data.train_dataloader())
    assert torch.equal(torch.cat([labels for _, labels in batches]), data.parts["train"][1][order])
    assert torch.equal(batches[0][0], data.parts["train"][0][order[:24]])
    for loader, stage in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        assert torch.equal(torch.cat([images for images, _ in loader]), data.parts[stage][0])


def test_a_checkpoint_of_a_run_is_loaded_by_lightning_and_never_unpickled(tmp_path: Path) -> None:
    from mnist_mlp.runs import checkpoint_file

    train(configuration("trainer.max_epochs=1", "averaging.decay=0.9", "logger=none"), tmp_path)
    module = DigitClassifier.load_from_checkpoint(tmp_path / "checkpoints" / checkpoint_file.BEST)
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    network = checkpoint_file.network_of(checkpoint_file.read(tmp_path / "checkpoints" / checkpoint_file.BEST))
    assert torch.equal(module.eval()(images), network.log_probabilities(images))
    assert module.config.averaging.decay == 0.9

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return print, ("unpickled",)

    torch.save({"state_dict": {}, "hyper_parameters": {"config": Evil()}}, tmp_path / "evil.ckpt")
    with pytest.raises(Exception, match="Weights only load failed"):
        DigitClassifier.load_from_checkpoint(tmp_path / "evil.ckpt", weights_only=False)


def test_the_module_reads_like_a_tutorial() -> None:
    assert len((PROJECT / "src" / "mnist_mlp" / "module.py").read_text().splitlines()) <= 150
