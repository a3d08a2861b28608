"""Synthetic outliers: images of no class, for training the OOD detector.

Most are made from training images (two classes mixed, two side by side, one taken apart); others are random strokes and
blots. Like MNIST digits, all are scaled to a longer side of 20 pixels and centred by mass. A few look like a digit all
the same, as the upper half of a 4 on the lower half of a 9 does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mnist_mlp.extras.handwriting.mnist_format import FIT, SIDE

FAINTEST = 30  # the lowest grey level that counts as ink
LEAST_PIXELS = 20  # an image with at most so many pixels brighter than 127 is nearly empty
OTHER_KINDS = 5  # beside the mixes of two classes: neighbours, quarters, parts, strokes, blots
STROKES, DOTS = 3, 48  # maximum strokes in an image; dots drawn along each stroke
STRAIGHT = 0.4  # share of the strokes
JOINED = 0.5  # share of the images whose strokes meet, as those of letters do
DETAIL = 2  # each image pixel is drawn as DETAIL x DETAIL pixels
PENS = (1.6, 2.2, 2.8, 3.4)  # widths in pixels of the image
GRAINS = (3, 4, 5, 6, 7)  # cells of noise along the side of a blot


def make(images: Tensor, labels: Tensor, number: int, seed: int) -> Tensor:
    """About `number` outliers `(N, 28, 28)` uint8, equally many of each kind; nearly empty images are dropped.

    Args:
        images: `(M, 784)` uint8; if all are of one class, no two are mixed.
        labels: `(M,)`.
    """
    generator = torch.Generator().manual_seed(seed)
    pool = images.view(-1, SIDE, SIDE).float()
    mixes = (halves, overlays) if len(labels.unique()) > 1 else ()
    each = -(-number // (len(mixes) + OTHER_KINDS))
    mixed = [mix(pool, labels, each, generator) for mix in mixes]
    mixed.append(neighbours(_sampled(pool, each, generator), _sampled(pool, each, generator)))
    alone = [change(_sampled(pool, each, generator), generator) for change in (quarters, parts)]
    made = torch.cat([*mixed, *alone, strokes(each, generator), blots(each, generator)])
    return normalised(made[(made > 127).sum((1, 2)) > LEAST_PIXELS])


def halves(pool: Tensor, labels: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """The upper or left half of one image beside the other half of an image of another class."""
    first, second = _pairs(labels, number, generator)
    is_first_half = torch.arange(SIDE) < SIDE // 2
    is_upper = torch.rand(number, 1, 1, generator=generator) < 0.5
    return torch.where(torch.where(is_upper, is_first_half[:, None], is_first_half), pool[first], pool[second])


def overlays(pool: Tensor, labels: Tensor, number: int, generator: torch.Generator) -> Tensor:
    """Two images of different classes on top of one another, one of them moved by up to 5 pixels."""
    first, second = _pairs(labels, number, generator)
    moves = torch.randint(-5, 6, (number, 2), generator=generator).tolist()
    moved = [image.roll((down, right), (0, 1)) for image, (down, right) in zip(pool[second], moves, strict=True)]
    return torch.maximum(pool[first], torch.stack(moved))


def neighbours(left: Tensor, right: Tensor) -> Tensor:
    """Two digits that touch, as they look when they are scaled to 28 x 28 as one digit: each at half its size."""
    beside = torch.cat([_moved_to_edge(left, last=True), _moved_to_edge(right, last=False)], dim=2)  # (N, 28, 56)
    return F.pad(F.avg_pool2d(beside, 2), (0, 0, SIDE // 4, SIDE // 4))


def _moved_to_edge(images: Tensor, *, last: bool) -> Tensor:
    """Each image `(N, 28, 28)` rolled sideways, until its ink meets the right (`last`) or the left edge."""
    begin, end = _span((images > 127).any(1))  # fainter rims overlap, so that strokes meet
    shift = SIDE - 1 - end if last else -begin
    columns = (torch.arange(SIDE) - shift[:, None]) % SIDE
    return images.gather(2, columns[:, None].expand_as(images))


def quarters(images: Tensor, generator: torch.Generator) -> Tensor:
    """The four quarters of each image, each at the place of another."""
    half = SIDE // 2
    tiles = images.unfold(1, half, half).unfold(2, half, half).flatten(1, 2)  # (N, 4, 14, 14)
    orders = torch.tensor([[1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0], [1, 2, 3, 0], [3, 0, 1, 2], [2, 0, 3, 1]])
    order = orders[torch.randint(len(orders), (len(images),), generator=generator)]
    tiles = tiles[torch.arange(len(images))[:, None], order].view(-1, 2, 2, half, half)
    return tiles.transpose(2, 3).reshape(-1, SIDE, SIDE)


def parts(images: Tensor, generator: torch.Generator) -> Tensor:
    """What a straight cut near the middle leaves of each image, on one of four sides."""
    cut = torch.randint(11, 18, (len(images), 1, 1), generator=generator)
    side = torch.randint(4, (len(images), 1, 1), generator=generator)
    along = torch.arange(SIDE)
    place = torch.where(side % 2 == 0, along[:, None], along)
    return images * ((place < cut) == (side < 2))


def strokes(number: int, generator: torch.Generator) -> Tensor:
    """One to three strokes, straight ones and cubic Bezier curves, of one pen in each image; some meet."""
    points = torch.rand(number, STROKES, 4, 2, generator=generator) * FIT + (SIDE - FIT) / 2
    is_straight = torch.rand(number, STROKES, 1, 1, generator=generator) < STRAIGHT
    line = torch.lerp(points[:, :, :1], points[:, :, -1:], torch.linspace(0, 1, 4)[:, None])
    points = torch.where(is_straight, line, points)
    dots = _along(points, torch.linspace(0, 1, DOTS))
    joints = dots[:, 0, torch.tensor([0, DOTS // 2, DOTS - 1])]  # (N, 3, 2): both ends and the middle of the first
    chosen = torch.randint(3, (number, STROKES - 1), generator=generator)
    moves = joints[torch.arange(number)[:, None], chosen] - dots[:, 1:, 0]
    is_joined = torch.rand(number, 1, 1, 1, generator=generator) < JOINED
    moved = (dots[:, 1:] + moves[:, :, None]).clamp((SIDE - FIT) / 2, (SIDE + FIT) / 2)
    dots = torch.cat([dots[:, :1], torch.where(is_joined, moved, dots[:, 1:])], dim=1)
    dots = (dots * DETAIL).long()
    drawn = torch.arange(STROKES) < torch.randint(1, STROKES + 1, (number, 1), generator=generator)
    canvas = torch.zeros(number, (SIDE * DETAIL) ** 2)
    place = (dots[..., 0] * SIDE * DETAIL + dots[..., 1]).flatten(1)
    canvas.scatter_reduce_(1, place, drawn[..., None].expand(-1, -1, DOTS).flatten(1).float(), "amax")
    canvas = canvas.view(number, 1, SIDE * DETAIL, SIDE * DETAIL)
    shares = zip(canvas.tensor_split(len(PENS)), PENS, strict=True)
    inked = torch.cat([F.conv2d(share, _disc(pen), padding="same") for share, pen in shares])
    return 255 * F.avg_pool2d(inked.clamp(max=1), DETAIL).squeeze(1)


def _along(points: Tensor, t: Tensor) -> Tensor:
    """Control points `(N, S, 4, 2)` of cubic Bezier curves to their points at `t` `(T,)`: `(N, S, T, 2)`."""
    weights = torch.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return torch.einsum("nspc,pd->nsdc", points, weights)


def blots(number: int, generator: torch.Generator) -> Tensor:
    """Smooth noise in a box, half of them with hard edges."""
    grain = torch.rand(number, 1, max(GRAINS), max(GRAINS), generator=generator)
    shares = zip(grain.tensor_split(len(GRAINS)), GRAINS, strict=True)
    smooth = [F.interpolate(share[..., :side, :side], (FIT, FIT), mode="bicubic") for share, side in shares]
    soft = torch.cat(smooth).squeeze(1).clamp(0, 1)
    hard = (8 * soft - 3.5).clamp(0, 1)
    is_hard = torch.rand(number, 1, 1, generator=generator) < 0.5
    box = torch.randint(10, FIT + 1, (number, 2, 1), generator=generator)
    inside = torch.arange(FIT) < box
    inked = torch.where(is_hard, hard, soft) * inside[:, 0, :, None] * inside[:, 1, None]
    return 255 * F.pad(inked, (4, 4, 4, 4))


def normalised(images: Tensor) -> Tensor:
    """Grey levels `(N, 28, 28)` to uint8 in the form of MNIST: 20 pixels the longer side, mass in the middle.

    As `handwriting.mnist_format.as_mnist` does for one patch of any size, here for thousands of nearly right size.
    """
    inked = images >= FAINTEST
    longest = torch.stack([_extent(inked.any(axis)) for axis in (1, 2)]).amax(0)
    along = torch.arange(SIDE, dtype=torch.float32)
    mass = images.sum((1, 2))
    x, y = ((images.sum(axis) * along).sum(1) / mass for axis in (1, 2))
    scale, half = longest / FIT, SIDE / 2
    zero = torch.zeros_like(scale)
    # affine_grid counts in half images from the middle; the centre of mass comes to lie on pixel 14.
    left, top = ((centre + 0.5 - half - 0.5 * scale) / half for centre in (x, y))
    theta = torch.stack([scale, zero, left, zero, scale, top], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(images), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(images[:, None], grid, align_corners=False).squeeze(1).round().to(torch.uint8)


def _extent(profile: Tensor) -> Tensor:
    """From the first to the last True of each row `(N, 28)`, both included: `(N,)`."""
    first, last = _span(profile)
    return (last - first + 1).float()


def _span(profile: Tensor) -> tuple[Tensor, Tensor]:
    """Places `(N,)` of the first and of the last True of each row `(N, 28)`."""
    along = torch.arange(SIDE)
    return torch.where(profile, along, SIDE).amin(1), torch.where(profile, along, -1).amax(1)


def _pairs(labels: Tensor, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places `(number,)` of two images each, of different classes."""
    first = torch.randint(len(labels), (number,), generator=generator)
    second = torch.randint(len(labels), (number,), generator=generator)
    while len(same := torch.nonzero(labels[first] == labels[second]).squeeze(1)) > 0:
        second[same] = torch.randint(len(labels), (len(same),), generator=generator)
    return first, second


def _sampled(pool: Tensor, number: int, generator: torch.Generator) -> Tensor:
    return pool[torch.randint(len(pool), (number,), generator=generator)]


def _disc(width: float) -> Tensor:
    """A pen of so many pixels of an image, with a soft rim: `(1, 1, k, k)`."""
    radius = width * DETAIL / 2
    reach = math.ceil(radius)
    along = torch.arange(-reach, reach + 1, dtype=torch.float32)
    return (radius + 0.5 - torch.hypot(along[:, None], along)).clamp(0, 1)[None, None]
