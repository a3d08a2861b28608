"""The colour of an entry, by its rank, in every table and plot of a leaderboard."""

from mnist_mlp.extras.colours import GREY_HEX

# Told apart on light and on dark ground, also by most colour-blind eyes (after Okabe and Ito 2008).
COLOURS = ("#0b84d8", "#e08a00", "#009e73", "#d05a9a", "#8468e0", "#d55e00", "#2fa8c4", "#a08a28")
REST = GREY_HEX


def colour(rank: int) -> str:
    """Of the entry of this rank, from 0; those further down share one."""
    return COLOURS[rank] if rank < len(COLOURS) else REST
