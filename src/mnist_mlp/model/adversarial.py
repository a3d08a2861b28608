"""Adversarial training: images changed a little, so that the loss grows most (Goodfellow et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor


def adversarial_images(images: Tensor, loss: Tensor, distance: float) -> Tensor:
    """Of all images at this Euclidean distance from `images`, those with the largest loss, to first order.

    They are a step along the gradient of the loss (Miyato et al. 2018, sec. 3.1, with the L2 norm).

    Args:
        images: `(B, C, H, W)` grey levels 0..255, from which `loss` was computed; they require gradients.
        loss: a scalar; its graph is kept for the backward pass.
        distance: between each image and the new one, for grey levels in [0, 1].
    """
    (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
    gradient = gradient.flatten(1)
    smallest = torch.finfo(gradient.dtype).tiny  # a gradient of zero has no direction, and changes nothing
    # Scaled first: the squares of a small gradient, as that of an image of which the network is sure, would be zero.
    gradient = gradient / gradient.abs().amax(dim=1, keepdim=True).clamp_min(smallest)
    direction = gradient / torch.linalg.vector_norm(gradient, dim=1, keepdim=True).clamp_min(smallest)
    moved: Tensor = images + 255 * distance * direction.view_as(images)
    return moved.detach()
