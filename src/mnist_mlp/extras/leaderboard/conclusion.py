"""The conclusion from a leaderboard's tests, in words: no more than they allow."""

from __future__ import annotations

from mnist_mlp.extras.leaderboard.leaderboard import Leaderboard
from mnist_mlp.extras.text_table import ranges

RISK = 0.05
"""The corrected p-value below which the first counts as better; see `against_first` for what that guarantees."""


def conclusion(board: Leaderboard) -> str:
    """One or two sentences: over which entries the first's lead is more than chance."""
    others = range(2, len(board.entries) + 1)  # ranks
    if len(board.entries) == 1:
        return "One configuration: there is nothing to compare it with." if board.entries[0].runs[1:] else ONE_SEED
    p_values = board.p_values
    tested = [rank for rank in others if p_values[rank - 1] is not None]
    if not tested:
        if all(len(entry.runs) == 1 for entry in board.entries):
            return f"Nothing can be concluded from the order. {ONE_SEED}"
        return (
            "Nothing can be concluded from the order: a comparison needs two seeds that both configurations have. "
            "Add seed=0,1,2 to the command."
        )
    worse = [rank for rank in tested if (p_values[rank - 1] or 0.0) < RISK]
    corrected = "" if len(tested) == 1 else f", corrected by Holm for {len(tested):,} comparisons"
    how = f"(t-tests paired by seed{corrected}; p < {RISK})"
    if not worse:
        some = "the one that shares" if len(tested) == 1 else f"the {len(tested):,} that share"
        compared = _all(len(others)) if len(tested) == len(others) else f"{some} two seeds with it"
        return f"No winner: chance may explain the first's lead over {compared} {how}. More seeds may tell them apart."
    if len(worse) == len(others):
        return f"The first is better than {_all(len(others))} {how}."
    alike = [rank for rank in others if rank not in worse]
    return (
        f"The first is better than {len(worse):,} of the {len(others):,} others {how}. "
        f"Not told apart from it: {'rank' if len(alike) == 1 else 'ranks'} {_few(ranges(alike))}."
    )


ONE_SEED = "One seed says nothing about chance: add seed=0,1,2 to the command."


def _all(others: int) -> str:
    return "the other" if others == 1 else f"all {others:,} others"


def _few(text: str) -> str:
    """The first of many spans."""
    words = text.split(", ")
    return ", ".join(words if len(words) <= 6 else [*words[:5], "..."])
