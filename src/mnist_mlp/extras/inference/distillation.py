"""Learning from larger networks: their probabilities for an image say more than its label (Hinton et al. 2015).

Teachers look at the very image that the student sees, deformed as it is: what they said about another view of it
would be a wrong target (Beyer et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.runs import checkpoint_file as files


class Teachers:
    """Trained networks beside the student, not part of it: no checkpoint of the student holds them."""

    def __init__(self, places: Sequence[str]) -> None:
        """From checkpoints, or the best ones of run directories.

        Raises:
            CheckpointError: one is missing or damaged.
        """
        contents = [files.read(path) for path in files.chosen(list(places))]
        self.networks = [files.network_of(content).requires_grad_(False) for content in contents]

    def to(self, device: torch.device, *, bfloat16: bool) -> None:
        """In mixed precision their weights need no float32: nothing is added to them."""
        for network in self.networks:
            network.to(device, torch.bfloat16 if bfloat16 else None)

    @torch.no_grad()
    def log_probabilities(self, images: Tensor, temperature: float) -> Tensor:
        """Images `(B, 784)` to the logarithm of the mean of the teachers' softened probabilities `(B, 10)`."""
        seen = images.float()  # deformed, they come in the number format of the student
        said = [network.log_probabilities(seen).float() / temperature for network in self.networks]
        return torch.stack([one.log_softmax(dim=1) for one in said]).logsumexp(dim=0) - math.log(len(said))


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """How far the student's softened probabilities are from the teacher's, a scalar.

    The Kullback-Leibler divergence times temperature^2, which keeps its gradients as large as those of the
    cross-entropy at any temperature (Hinton et al. 2015, sec. 2.1).

    Args:
        student: logits or log-probabilities `(B, 10)`, not softened.
        teacher: log-probabilities `(B, 10)`, softened.
    """
    softened = (student / temperature).log_softmax(dim=1)
    return temperature**2 * F.kl_div(softened, teacher.to(softened.dtype), reduction="batchmean", log_target=True)
