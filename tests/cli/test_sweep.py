"""A multirun ends with an answer: presets, the leaderboard on the screen, and the page in its directory."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
from helpers import commands as started
from helpers import kill_sweep
from helpers.colour_set import colour_set, write_npz
from helpers.fake_run import ran
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from omegaconf import OmegaConf

from mnist_mlp.cli import sweep
from mnist_mlp.config import errors
from mnist_mlp.config.errors import UserError
from mnist_mlp.config.job_compositions import JobCompositions
from mnist_mlp.config.keys import keys
from mnist_mlp.config.schema import CONFIGS, PROJECT
from mnist_mlp.runs import directories, record


def train(*words: str) -> subprocess.CompletedProcess[str]:
    return started.run(PROJECT / "src" / "train.py", *words)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "sweep").glob("*.yaml")))
def test_every_preset_sweeps_keys_that_exist(name: str) -> None:
    from mnist_mlp.config.schema import Config

    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("train", [f"sweep={name}"], return_hydra_config=True)
    params = OmegaConf.to_container(composed.hydra.sweeper.params)
    assert params and set(params) <= set(keys(Config))


@pytest.mark.parametrize("keep", ["all", "results", None])
def test_the_report_says_what_was_kept_and_how_to_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keep: str | None
) -> None:
    """Also of a sweep without a record, by an older version."""
    ran(tmp_path / "0", accuracy=0.9)
    ran(tmp_path / "1", accuracy=0.9, status="failed")
    if keep is None:
        (tmp_path / "multirun.yaml").touch()
    else:
        command = record.Command(config_name="train", config_dirs=[], task=[], hydra=[])
        jobs = [record.JobRecord(number=number, directory=str(number), overrides=[]) for number in range(2)]
        record.write_sweep(tmp_path, record.SweepRecord(command=command, config={"sweep": {"keep": keep}}, jobs=jobs))
    monkeypatch.setattr(sweep, "_directory", tmp_path)
    monkeypatch.setattr(sweep, "optional", lambda _: None)
    assert sweep.report() is False
    printed = capsys.readouterr().out
    assert ("sweep.keep=results" in printed) is (keep == "results")
    assert f"1 of 2 jobs did not complete. Finish them with:\n{sweep.command('train.py', resume=tmp_path)}" in printed


@pytest.mark.extras
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("stacked", None),
        ("stacked hydra.launcher.on=submitit_local", "pip install hydra-submitit-launcher$"),
        ("stacked hydra.launcher.on=slurm", "pip install hydra-submitit-launcher$"),
        ("stacked hydra.launcher.on=ray", "pip install ray$"),
        ("submitit_slurm", "pip install hydra-submitit-launcher$"),
        ("stacked hydra.launcher.most=-1", r"^hydra\.launcher\.most: expected a whole number from 1, got -1$"),
        ("stacked hydra.launcher.on=submitit_local hydra.launcher.cpus=0", r"^hydra\.launcher\.cpus: expected"),
        ("stacked hydra.launcher.on=ray hydra.launcher.attempts=0", r"^hydra\.launcher\.attempts: expected"),
        (
            "stacked hydra.launcher.on=submitit_local hydra.launcher.partition=gpu",
            r"^hydra\.launcher\.partition: has no effect with .*\.on=submitit_local; it goes with on=slurm$",
        ),
        ("submitit_local hydra.launcher.at_once=0", r"^hydra\.launcher\.at_once: expected a whole number"),
        ("submitit_local hydra.launcher.cpus_per_task=two", "got two$"),
        ("stacked hydra.job.chdir=true", r"^hydra\.job\.chdir: has no effect on jobs that are trained as one stack"),
        ("stacked +hydra.job.env_set.A=b", r"^hydra\.job\.env_set: has no effect"),
        (
            "stacked +hydra.callbacks.mine._target_=hydra.experimental.callbacks.PickleJobInfoCallback",
            r"^hydra\.callbacks\.mine: its on_job_end is not called",
        ),
    ],
)
def test_a_launcher_that_cannot_do_what_is_asked_says_so(
    monkeypatch: pytest.MonkeyPatch, words: str, complaint: str | None
) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("train", f"hydra/launcher={words}".split(), return_hydra_config=True)
    monkeypatch.setattr(errors, "find_spec", lambda module: None)
    launcher = get_class(composed.hydra.launcher._target_)
    with pytest.raises(UserError, match=complaint) if complaint else nullcontext():
        launcher.preflight(composed.hydra)


@pytest.mark.slow
def test_a_job_of_which_a_part_is_kept_resumes_alone(tmp_path: Path) -> None:
    job = ran(tmp_path / "3", "sweep.keep=results", "logger=none", accuracy=0.9)
    config = json.loads((job / "result.json").read_text())["config"]
    record.write_run(job, record.RunRecord(config=config, sweep=".."))
    answer = train(f"resume={job}")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"{job} is complete already" in answer.stdout


@pytest.mark.slow
def test_a_sweep_does_not_go_on_with_other_images(tmp_path: Path) -> None:
    images, arrays = tmp_path / "own.npz", colour_set()
    write_npz(images, arrays)
    words = ("-m", "data=npz", f"data.path={images}", "data.val_size=10", "model.hidden=[4]", "trainer.max_epochs=1")
    begun = train(*words, "logger=none", "augment=none", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert begun.returncode == 0, begun.stderr
    shutil.rmtree(tmp_path / "sweep" / "1")
    write_npz(images, arrays, test_images=255 - arrays["test_images"])
    answer = train(f"resume={tmp_path / 'sweep'}")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert f"data.path: {images}: expected the data that the network was trained on, found others" in answer.stderr
    assert not (tmp_path / "sweep" / "1").exists()


def test_without_a_sweep_there_is_nothing_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for directory in (None, tmp_path / "nothing"):
        monkeypatch.setattr(sweep, "_directory", directory)
        assert sweep.report() is True
    assert capsys.readouterr().out == ""


@pytest.mark.extras
@pytest.mark.slow
def test_a_preset_with_overrides_prints_the_numbers_of_its_runs_and_writes_the_page(tmp_path: Path) -> None:
    words = ("sweep=losses", "experiment=tiny", "trainer.max_epochs=1", "seed=0,1", "threads=1")
    answer = train("-m", *words, f"hydra.sweep.dir={tmp_path}")
    assert (answer.returncode, answer.stderr) == (0, "")
    results = [json.loads((tmp_path / str(job) / "result.json").read_text()) for job in range(6)]
    assert sorted((result["config"]["model"]["loss"], result["seed"]) for result in results) == sorted(
        (loss, seed) for loss in ("cross_entropy", "nll", "mse") for seed in (0, 1)
    )
    for loss in ("cross_entropy", "nll", "mse"):
        own = [result["metrics"] for result in results if result["config"]["model"]["loss"] == loss]
        (line,) = [line.split() for line in answer.stdout.splitlines() if line.split()[1:2] == [loss]]
        assert line[2] == f"{100 * sum(metrics['val/acc'] for metrics in own) / 2:.2f}"
        assert line[5] == f"{100 * sum(metrics['test/acc'] for metrics in own) / 2:.2f}"
    begun = [line for line in answer.stdout.splitlines() if line.startswith("job ")]
    names = [f"model.loss={result['config']['model']['loss']} seed={result['seed']}" for result in results]
    assert begun == [f"job {number}: {name}" for number, name in enumerate(names)]  # without what all have in common
    assert "python src/train.py -m data=synthetic" in answer.stdout
    assert "<svg" in (tmp_path / "report.html").read_text()


@pytest.mark.extras
@pytest.mark.slow
def test_a_sweep_may_be_valid_only_with_the_values_that_it_sweeps_over(tmp_path: Path) -> None:
    """The default configuration measures no F1, so it alone could not choose the best checkpoint by it."""
    words = ("metrics=[acc,f1],[f1,acc]", "checkpoint.monitor=val/f1", "data=synthetic", "trainer.max_epochs=1")
    stacked = ("hydra/launcher=stacked", "trainer.limit_train_batches=3")
    answer = train("-m", *words, *stacked, f"hydra.sweep.dir={tmp_path}")
    assert (answer.returncode, answer.stderr) == (0, "")
    results = [json.loads((tmp_path / str(job) / "result.json").read_text()) for job in range(2)]
    assert [result["status"] for result in results] == ["completed", "completed"]


@pytest.mark.slow
def test_a_combination_that_is_invalid_fails_alone(tmp_path: Path) -> None:
    sweep = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    values = ("optimizer=sgd", "optimizer.nesterov=true,false", "optimizer.momentum=0,0.9")  # the first one is invalid
    answer = train("-m", "experiment=tiny", "trainer.max_epochs=1", *values, sweep)
    assert answer.returncode == 1
    assert "job 0 failed: optimizer.nesterov: " in answer.stdout + answer.stderr
    completed = [directories.read(tmp_path / "sweep" / str(job)).status == directories.COMPLETED for job in range(4)]
    assert completed == [False, True, True, True]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("sweep=losses",), "sweep=losses: expected -m beside it"),
        (("sweep.keep=best",), "sweep.keep=best: expected -m beside it"),
        pytest.param(
            ("-m", "hydra/launcher=stacked", "hydra.launcher.on=moon"),
            "expected one of here, submitit_local, slurm, ray",
            marks=pytest.mark.extras,
        ),
        pytest.param(
            ("-m", "hydra/launcher=stacked", "hydra.launcher.at_once=1", "seed=0,1"),
            "hydra.launcher.at_once: has no effect with hydra.launcher.on=here",
            marks=pytest.mark.extras,
        ),
        (("-m", "sweep=losses", "optimizer.lr=-1"), "optimizer.lr: expected a number above 0"),
        (("-m", "sweep=los"), "expected one of activations, losses, seeds, width_lr"),
        (("-m", "sweep=seeds", "hydra.sweeper.params.seed='0,-1'"), "seed: expected a number at least 0, got -1"),
    ],
)
def test_a_wrong_sweep_is_refused_before_work(tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    answer = train(*words, f"hydra.sweep.dir={tmp_path / 'sweep'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert answer.returncode == 2
    assert complaint in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_all_jobs_of_a_sweep_lie_in_the_one_directory_that_is_named_after_its_beginning() -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = compose("train", return_hydra_config=True)
        sweep.compose_once(loader, master)
        early = loader.load_sweep_config(master, ["seed=0"])  # before the sweep has looked at the clock
        directory = master.hydra.sweep.dir
        late, other = (loader.load_sweep_config(master, [f"seed={seed}"]) for seed in (0, 1))
    assert early.seed == late.seed == 0
    assert directory == late.hydra.sweep.dir == other.hydra.sweep.dir


def test_jobs_that_differ_in_values_are_composed_once_to_what_hydra_composes(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [
        ["seed=1", "optimizer=adamw", "model.hidden=[8]", "data.dir='a b=c'"],
        ["seed=2", "optimizer=adamw", "model.hidden=[16,4]", "data.dir=null"],
        ["seed=2", "optimizer=sgd", "model.hidden=[16,4]", "data.dir=null"],
        ["seed=3", "optimizer=sgd", "model.hidden=[]", "data.dir=x"],
    ]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = compose("train", ["hydra.job.config.override_dirname.exclude_keys=[seed]"], return_hydra_config=True)
        expected = [loader.load_sweep_config(master, job) for job in jobs]
        with monkeypatch.context() as patch:
            composed: list[list[str]] = []
            original = loader.load_sweep_config
            patch.setattr(loader, "load_sweep_config", lambda *given: (composed.append(given[1]), original(*given))[1])
            sweep.compose_once(loader, master)
            found = [loader.load_sweep_config(master, job) for job in jobs]
            again = loader.load_sweep_config(master, jobs[0])
    assert composed == [jobs[0], jobs[2]]
    assert [OmegaConf.to_container(job) for job in found] == [OmegaConf.to_container(job) for job in expected]
    again.hydra.job.num = 3  # whoever asks has a configuration of their own
    assert OmegaConf.is_missing(found[0].hydra.job, "num")


def test_a_key_that_is_set_a_second_time_in_another_way_has_the_value_that_hydra_gives_it() -> None:
    jobs = [[f"optimizer.lr={lr}", "++optimizer.lr=0.005"] for lr in (0.001, 0.003)]
    jobs += [[f"model.dropout={dropout}", "model={dropout:0.3}"] for dropout in (0.1, 0.2)]
    jobs += [[f"seed={seed}", "seed=2"] for seed in (0, 1)]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        compositions = JobCompositions(lambda overrides: compose("train", overrides))
        found = [compositions(job) for job in jobs]
    assert [job.optimizer.lr for job in found[:2]] == [0.005, 0.005]
    assert [job.model.dropout for job in found[2:4]] == [0.3, 0.3]
    assert [job.seed for job in found[4:]] == [2, 2]


@pytest.mark.slow
def test_a_sweep_that_was_killed_is_finished_from_its_record_to_the_same_bits(tmp_path: Path) -> None:
    """With files of one's own, parameters of the sweeper, and folders named by the overrides."""
    sweep_directory, reference = tmp_path / "my sweeps" / "killed", tmp_path / "reference"
    seconds = kill_sweep.run(kill_sweep.begun(tmp_path / "conf", reference))
    words = kill_sweep.begun(tmp_path / "conf", sweep_directory)
    kill_sweep.survive(words, sweep_directory, seconds, random.Random(0), kills=2)
    assert kill_sweep.first_difference(sweep_directory, reference) is None

    own = tmp_path / "conf" / "experiment" / "mine.yaml"
    own.write_text(own.read_text().replace("hidden: [8]", "hidden: [9]"))
    answer = train(f"resume={sweep_directory}")
    assert answer.returncode == 2
    assert "model.hidden: cannot change on resume; it was [8] at the start, got [9]" in answer.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        *(
            pytest.param((choice,), f"{choice}: expected -m beside it", marks=pytest.mark.extras)
            for choice in ("hydra/launcher=stacked", "experiment=committee")
        ),
        (
            ("-m", "seed=0,1", "hydra.sweep.subdir=same"),
            "hydra.sweep.subdir: expected a directory for each job, got same",
        ),
        (("-m", "seed=0,1", f"hydra.sweep.subdir={'x' * 300}"), "names of at most 255 bytes"),
        (
            ("hydra.job.name=a/b",),
            "hydra.job.name: expected the name of the log file, without folder and .log, got 'a/b'",
        ),
        (("-m", "seed=0,1", "hydra.job.name=a/b"), "hydra.job.name: expected the name of the log file"),
        ((f"hydra.job.name={'x' * 253}",), "hydra.job.name: expected the name of the log file"),
        (("-m", "seed=range(0,0)"), "seed=range(0,0): a sweep needs at least one value, got none"),
        (("-m", "optimizer.lr=interval(0,1)"), "optimizer.lr=interval(0,1): a sweep needs a list of values"),
    ],
)
def test_words_that_would_have_no_effect_are_refused(tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    answer = train(*words, f"hydra.sweep.dir={tmp_path / 'sweep'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert complaint in answer.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_of_another_sweep_is_not_taken_for_a_job_of_this_one(tmp_path: Path) -> None:
    ran(tmp_path / "fixed_1", "optimizer.lr=1e-3", accuracy=0.9)
    before = (tmp_path / "fixed_1" / "result.json").read_bytes()
    subdir = f"hydra.sweep.subdir='{tmp_path}/fixed_${{seed}}'"
    answer = train("-m", "data=synthetic", "seed=0,1", subdir, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert f"hydra.sweep.subdir: {tmp_path / 'fixed_1'} already holds a run; to resume it: " in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["fixed_1"]
    assert (tmp_path / "fixed_1" / "result.json").read_bytes() == before
