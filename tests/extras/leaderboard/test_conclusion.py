"""The sentence below a leaderboard says no more than the tests allow."""

from __future__ import annotations

from pathlib import Path

from helpers.fake_run import ran

from mnist_mlp.extras.leaderboard.conclusion import conclusion
from mnist_mlp.extras.leaderboard.find_runs import find
from mnist_mlp.extras.leaderboard.leaderboard import compared

WOBBLE = (0.0, 0.0011, -0.0007, 0.0004, -0.0002)


def concluded(place: Path, *means: float, seeds: int = 5) -> str:
    """Of one entry for each mean, with differences between seeds of about 0.1 points."""
    for number, mean in enumerate(means):
        for seed in range(seeds):
            accuracy = mean + WOBBLE[(seed + number) % 5]
            ran(place / f"{number}-{seed}", f"model.hidden=[{number + 1}]", accuracy=accuracy, seed=seed)
    (board,) = compared(find([place])).boards
    return conclusion(board)


def test_a_lead_beyond_chance_is_called_better(tmp_path: Path) -> None:
    assert concluded(tmp_path, 0.98, 0.95) == "The first is better than the other (t-tests paired by seed; p < 0.05)."


def test_a_lead_within_chance_is_no_winner(tmp_path: Path) -> None:
    assert concluded(tmp_path, 0.98, 0.9801).startswith("No winner: chance may explain the first's lead over the other")


def test_those_that_chance_may_explain_are_named_by_rank(tmp_path: Path) -> None:
    said = concluded(tmp_path, 0.98, 0.9799, 0.95, 0.9798)
    assert "better than 1 of the 3 others (t-tests paired by seed, corrected by Holm for 3 comparisons; p" in said
    assert said.endswith("Not told apart from it: ranks 2-3.")


def test_one_seed_concludes_nothing_and_says_what_would(tmp_path: Path) -> None:
    said = concluded(tmp_path, 0.98, 0.95, seeds=1)
    assert said.startswith("Nothing can be concluded from the order.") and "add seed=0,1,2" in said


def test_an_entry_that_loses_on_every_shared_seed_is_not_called_better(tmp_path: Path) -> None:
    """The first leads by a seed that only it has."""
    for seed, (first, other) in enumerate([(0.90, 0.92), (0.9003, 0.9199), (0.9001, 0.9202)]):
        ran(tmp_path / f"first-{seed}", "model.hidden=[1]", accuracy=first, seed=seed)
        ran(tmp_path / f"other-{seed}", "model.hidden=[2]", accuracy=other, seed=seed)
    ran(tmp_path / "first-3", "model.hidden=[1]", accuracy=0.999, seed=3)
    (board,) = compared(find([tmp_path])).boards
    assert board.entries[0].settings == {"model.hidden": [1]}
    assert conclusion(board).startswith("No winner: chance may explain the first's lead over the other")


def test_a_lead_in_what_is_minimised_is_called_better(tmp_path: Path) -> None:
    words = ("checkpoint.monitor=val/loss", "checkpoint.mode=min", "metrics=[]")
    for number, loss in enumerate((0.1, 0.2)):
        for seed in range(5):
            metrics = {"val/loss": loss + WOBBLE[(seed + number) % 5]}
            name = f"model.hidden=[{number + 1}]"
            ran(tmp_path / f"{number}-{seed}", name, *words, accuracy=None, seed=seed, metrics=metrics)
    (board,) = compared(find([tmp_path])).boards
    assert conclusion(board).startswith("The first is better than the other")


def test_entries_without_a_seed_in_common_are_not_compared(tmp_path: Path) -> None:
    for number, seeds in enumerate(((0, 1), (2, 3))):
        for seed in seeds:
            name = f"model.hidden=[{number + 1}]"
            ran(tmp_path / f"{number}-{seed}", name, accuracy=0.98 - number / 10 + seed / 1e3, seed=seed)
    (board,) = compared(find([tmp_path])).boards
    assert "two seeds that both configurations have" in conclusion(board)
