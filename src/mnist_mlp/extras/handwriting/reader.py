"""Reader of digits in people's pictures: the pipeline and a trained network together, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mnist_mlp.config.errors import CheckpointError
from mnist_mlp.data.image_file import UnreadableError
from mnist_mlp.data.mnist import MNIST
from mnist_mlp.extras.handwriting.connected_components import Box
from mnist_mlp.extras.handwriting.mnist_format import IMAGE_SHAPE
from mnist_mlp.extras.handwriting.picture import read_picture
from mnist_mlp.extras.handwriting.segmentation import Digit, find_digits
from mnist_mlp.extras.inference.decision import ScoredDigit, doubts, is_two
from mnist_mlp.extras.inference.predictor import Calibration, Predictor

OK, UNSURE, BLANK, ERROR = "ok", "unsure", "blank", "error"
AT_ONCE = 256  # files whose digits are kept in memory together
UNKNOWN = "?"


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What one digit is taken for."""

    image: np.ndarray
    """(28, 28) uint8, as the network saw it."""
    probabilities: np.ndarray
    """(10,), calibrated."""
    box: Box
    """In pixels of the upright original."""
    doubt: str | None
    """Why it is not accepted, or None."""

    @property
    def digit(self) -> int:
        return int(np.argmax(self.probabilities))

    @property
    def marked(self) -> str:
        """The digit; in parentheses if it is in doubt."""
        return str(self.digit) if self.doubt is None else f"({self.digit})"

    @property
    def second(self) -> int:
        return int(np.argsort(self.probabilities)[-2])

    @property
    def probability(self) -> float:
        return float(self.probabilities[self.digit])

    @property
    def second_probability(self) -> float:
        return float(self.probabilities[self.second])


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The digits read in one file."""

    file: Path
    status: str
    message: str | None = None
    guesses: Sequence[Guess] = field(default=())

    @property
    def text(self) -> str:
        """The number, with ? for a digit in doubt."""
        return "".join(str(guess.digit) if guess.doubt is None else UNKNOWN for guess in self.guesses)

    @property
    def guess(self) -> str:
        """The number as the best guess of every digit, in doubt or not."""
        return "".join(str(guess.digit) for guess in self.guesses)

    @property
    def marked(self) -> str:
        """The number, with digits in doubt in parentheses."""
        return "".join(guess.marked for guess in self.guesses)

    @property
    def least_sure(self) -> Guess | None:
        return min(self.guesses, key=lambda guess: (guess.doubt is None, guess.probability), default=None)

    def plain(self) -> dict[str, Any]:
        """In plain types."""
        digits = [
            {
                "digit": guess.digit,
                "probability": guess.probability,
                "second": guess.second,
                "second_probability": guess.second_probability,
                "box": [guess.box.x0, guess.box.y0, guess.box.x1, guess.box.y1],
            }
            for guess in self.guesses
        ]
        return {
            "file": str(self.file),
            "status": self.status,
            "text": self.text,
            "guess": self.guess,
            "message": self.message,
            "digits": digits,
        }


class ScoredPiece(NamedTuple):
    digit: Digit
    probabilities: np.ndarray
    """(10,), calibrated."""
    scored: ScoredDigit


class Candidate(NamedTuple):
    """A piece of ink as one digit, and as two that touch where it is wide enough."""

    whole: ScoredPiece
    halves: list[ScoredPiece]


class Reader:
    def __init__(self, predictor: Predictor) -> None:
        """Raises CheckpointError: the network was trained on something other than digits as MNIST has them."""
        names = predictor.class_names
        if tuple(names) != MNIST.class_names:
            shown = ", ".join(names[:10]) + (f", ... ({len(names)} classes)" if len(names) > 10 else "")
            raise CheckpointError(f"{predictor.checkpoint}: expected a network trained on digits, got one for {shown}")
        if (shape := predictor.network.image_shape) != IMAGE_SHAPE:
            raise CheckpointError(
                f"{predictor.checkpoint}: expected a network for grey images of 28 x 28, got one for {shape} (C, H, W)"
            )
        self.predictor = predictor

    def read(self, files: Sequence[Path]) -> Iterator[Reading]:
        """One reading for each file, in order. The network reads AT_ONCE files at a time; only these are in memory."""
        for start in range(0, len(files), AT_ONCE):
            group = files[start : start + AT_ONCE]
            found = [_digits_in(file) for file in group]
            pieces = [digit for digits in found if isinstance(digits, list) for digit in digits]
            candidates = iter(self.candidates(pieces))
            for file, digits in zip(group, found, strict=True):
                if isinstance(digits, str):
                    yield Reading(file=file, status=ERROR, message=digits)
                else:
                    of_file = [next(candidates) for _ in digits]
                    yield _reading(file, accept_or_doubt(of_file, self.predictor.ood_limit, self.predictor.calibration))

    def candidates(self, pieces: list[Digit]) -> list[Candidate]:
        """Each piece and its halves with the network's probabilities and scores, for `accept_or_doubt`."""
        digits = [digit for piece in pieces for digit in (piece, *piece.halves)]
        if not digits:
            return []
        images = torch.from_numpy(np.stack([digit.image for digit in digits]))
        probabilities = self.predictor.log_probabilities(images).exp().numpy()
        scored = iter(
            ScoredPiece(
                digit, row, ScoredDigit(float(row.max()), score, digit.box.width / digit.box.height, digit.is_half)
            )
            for digit, row, score in zip(digits, probabilities, self.predictor.ood_score(images).tolist(), strict=True)
        )
        return [Candidate(next(scored), [next(scored) for _ in piece.halves]) for piece in pieces]


def accept_or_doubt(candidates: list[Candidate], limit: float, calibration: Calibration) -> list[Guess]:
    """The digits of one picture, accepted or in doubt; `limit` as in `decision.doubts`."""
    read: list[ScoredPiece] = []
    for whole, halves in candidates:
        is_pair = is_two(whole.scored, [half.scored for half in halves], limit, calibration)
        read += halves if is_pair else [whole]
    found = doubts([piece.scored for piece in read], limit, calibration)
    return [
        Guess(image=piece.digit.image, probabilities=piece.probabilities, box=piece.digit.box, doubt=doubt)
        for piece, doubt in zip(read, found, strict=True)
    ]


def _digits_in(file: Path) -> list[Digit] | str:
    """The digits in a file, their boxes in its own pixels; or why it cannot be read."""
    try:
        picture = read_picture(file)
    except UnreadableError as error:
        return str(error)
    return [digit.with_boxes(picture.in_original) for digit in find_digits(picture.grey)]


def _reading(file: Path, guesses: list[Guess]) -> Reading:
    if not guesses:
        return Reading(file=file, status=BLANK, message="no digit found")
    doubted = [(n, guess.doubt) for n, guess in enumerate(guesses, start=1) if guess.doubt is not None]
    if doubted:
        number, doubt = doubted[0]
        message = f"digit no. {number} {doubt}" if len(guesses) > 1 else doubt
        if len(doubted) > 1:
            message += f" (and {len(doubted) - 1} more)"
        return Reading(file=file, status=UNSURE, message=message, guesses=guesses)
    return Reading(file=file, status=OK, guesses=guesses)
