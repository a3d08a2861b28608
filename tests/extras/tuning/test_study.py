"""Several processes, now and later, share one study without doing a trial twice or losing one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from helpers.child_processes import in_child
from helpers.small_search import SMALL, space, study_in
from optuna.trial import TrialState

from mnist_mlp.config.errors import ConfigError
from mnist_mlp.extras.tuning.study import Claim, SharedStudy

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to have several processes cheaply")


def one_of(study: SharedStudy) -> Claim | None:
    return next(iter(study.claim()), None)


def finish(study: SharedStudy, claim: Claim) -> None:
    with claim.held:
        study.complete(claim, 0.5)


def test_each_trial_is_claimed_once_and_no_more_than_were_asked_for(tmp_path: Path) -> None:
    with space(*SMALL) as (config, searched):
        one, other = (SharedStudy(tmp_path, config, searched) for _ in range(2))
        claims = []
        while claim := one_of((one, other)[len(claims) % 2]):
            claims.append(claim)
        assert other.claim() == []
        assert one.claim() == []
    assert [claim.trial.number for claim in claims] == list(range(6))
    assert len({str(claim.trial.params) for claim in claims}) == 6  # the samplers do not repeat each other
    assert len({claim.directory for claim in claims}) == 6


@pytest.mark.slow
@forks
def test_processes_that_claim_at_the_same_moment_share_the_trials(tmp_path: Path) -> None:
    def claim_all() -> None:
        with study_in(tmp_path) as study:
            while claim := one_of(study):
                finish(study, claim)

    children = [in_child(claim_all) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    with study_in(tmp_path) as study:
        assert [trial.number for trial in study.trials] == list(range(6))
        assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


@forks
def test_a_trial_whose_process_was_killed_is_taken_over_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    def report_and_wait() -> None:
        with study_in(tmp_path) as study:
            claim = one_of(study)
            assert claim is not None
            claim.trial.report(0.25, step=1)
            (tmp_path / "reported").touch()
            time.sleep(60)

    killed = in_child(report_and_wait)
    while not (tmp_path / "reported").exists():
        assert os.waitpid(killed, os.WNOHANG) == (0, 0)
        time.sleep(0.01)
    with study_in(tmp_path) as study:
        living = one_of(study)
        os.kill(killed, signal.SIGKILL)
        os.waitpid(killed, 0)
        taken = one_of(study)
        assert living is not None
        assert taken is not None
        assert (living.trial.number, living.resumed) == (1, False)
        assert (taken.trial.number, taken.resumed, taken.reported) == (0, True, {1})
        finish(study, taken)
        finish(study, living)
        assert [trial.value for trial in study.trials] == [0.5, 0.5]


def test_a_trial_killed_while_its_values_were_drawn_is_given_up_and_another_drawn(tmp_path: Path) -> None:
    with study_in(tmp_path) as study:
        first = one_of(study)
        assert first is not None
        finish(study, first)
        study.study.ask({"optimizer.lr": study.space.distributions["optimizer.lr"]})
        following = one_of(study)
        assert following is not None
        assert following.trial.number == 2
        assert study.study.trials[1].state == TrialState.FAIL


@pytest.mark.slow
def test_the_draw_follows_from_the_seed_and_what_is_known(tmp_path: Path) -> None:
    drawn = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        with study_in(tmp_path / name, f"seed={seed}") as study:
            for _ in range(6):
                claim = one_of(study)
                assert claim is not None
                finish(study, claim)
            drawn.append([trial.params for trial in study.trials])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


@pytest.mark.parametrize(
    ("pruner", "ends"), [("median", True), pytest.param("halving", True, marks=pytest.mark.slow), ("none", False)]
)
def test_a_trial_far_behind_the_others_ends_early_unless_none_is_to(tmp_path: Path, pruner: str, ends: bool) -> None:
    with study_in(tmp_path, f"tune.pruner={pruner}", "tune.trials=9") as study:
        for accuracy in (0.9, 0.91, 0.92, 0.93, 0.94, 0.1):
            claim = one_of(study)
            assert claim is not None
            claim.trial.report(accuracy, step=1)
            assert claim.trial.should_prune() == (ends and accuracy == 0.1)
            finish(study, claim)


def test_a_study_goes_on_only_with_what_it_was_begun_with(tmp_path: Path) -> None:
    with study_in(tmp_path):
        pass
    with study_in(tmp_path, "tune.trials=9", "trainer.enable_progress_bar=true"):  # changes no trial
        pass
    for override, told in (
        ("trainer.max_epochs=7", r"trainer\.max_epochs: .* it was 3 at the start, got 7; tune\.study="),
        ("optimizer.weight_decay=0.5", r"optimizer\.weight_decay: "),
        (
            "++tune.space={model.label_smoothing:'interval(0,0.1)'}",
            r"model\.label_smoothing: .* was interval\(0\.0, 0\.15\) at the start",
        ),
    ):
        with pytest.raises(ConfigError, match=told), study_in(tmp_path, override):
            pass


def test_a_study_whose_file_is_damaged_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "journal.log").write_text("no line of a journal\n")
    with pytest.raises(ConfigError, match=r"journal.log: damaged: .*begins a new study"), study_in(tmp_path):
        pass


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data=fashion_mnist", r"data\.name: .* it was synthetic"),
        pytest.param("optimizer=sgd", r"optimizer\.name: ", marks=pytest.mark.slow),
    ],
)
def test_another_choice_is_told_by_its_name_and_not_by_a_key_that_follows_from_it(
    tmp_path: Path, override: str, told: str
) -> None:
    words = ("tune.space={model.activation:'choice(relu,gelu)'}",)
    with study_in(tmp_path, *words):
        pass
    with pytest.raises(ConfigError, match=told), study_in(tmp_path, *words, override):
        pass


def test_a_study_can_be_read_with_optuna_alone(tmp_path: Path) -> None:
    with study_in(tmp_path) as study:
        claim = one_of(study)
        assert claim is not None
        finish(study, claim)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    loaded = optuna.load_study(study_name="study", storage=optuna.storages.JournalStorage(backend))
    assert loaded.best_value == 0.5
