"""Stacked optimizer: the updates of torch.optim for M members at once, each with its own settings.

To add one: an entry in `UPDATES`. Members with another optimizer are trained by autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from mnist_mlp.engine.flat import Flat


class Update(Protocol):
    def __call__(self, rates: Sequence[float] | Tensor) -> None:
        """Update the weights of all members. `rates` are their learning rates: M numbers, or a tensor `(M, 1)`."""


def is_known(optimizer: Optimizer, network: nn.Module) -> bool:
    """Whether `UPDATES` can replace this optimizer.

    Its exact type is there, no unsupported option is set, and it updates exactly the parameters of `network`,
    in one group.
    """
    if type(optimizer) not in UPDATES or len(optimizer.param_groups) != 1:
        return False
    group = optimizer.param_groups[0]
    ours = list(network.parameters())
    same = len(group["params"]) == len(ours) and all(a is b for a, b in zip(group["params"], ours, strict=True))
    changed = [name for name in ("amsgrad", "maximize", "differentiable", "dampening") if group.get(name)]
    decoupled = type(optimizer) is Adam and group.get("decoupled_weight_decay")  # as in AdamW
    return same and not changed and not decoupled


def build_update(optimizers: Sequence[Optimizer], flat: Flat, *, fused: bool) -> Update:
    """The update of all members. The state of each optimizer becomes views of rows of flat tensors.

    With `fused` it calls torch's fused kernel, which reads memory once, for all members with the same settings and
    learning rate: fastest on the CPU. Without, it is
    elementwise over the whole stack: fewer calls, fastest on a GPU. Gradients are not changed.
    """
    return UPDATES[type(optimizers[0])][0 if fused else 1](optimizers, flat)


def _group(optimizer: Optimizer) -> dict[str, Any]:
    return optimizer.param_groups[0]


def _state(optimizers: Sequence[Optimizer], flat: Flat, name: str) -> Tensor:
    """State `name` of all optimizers as one tensor `(M, P)`, zero if not yet initialised.

    The state in each optimizer is replaced by a view of its row.
    """
    rows = [
        [optimizer.state[parameter].get(name, torch.zeros_like(parameter)) for parameter in _group(optimizer)["params"]]
        for optimizer in optimizers
    ]
    stacked = flat.flatten(rows)
    for optimizer, views in zip(optimizers, flat.rows(stacked), strict=True):
        for parameter, view in zip(_group(optimizer)["params"], views, strict=True):
            optimizer.state[parameter][name] = view
    return stacked


def _steps(optimizers: Sequence[Optimizer], flat: Flat) -> Tensor:
    """Step counts of the optimizers, `(M,)`. The count in each optimizer is replaced by a view of its element."""
    first = [optimizer.state[_group(optimizer)["params"][0]].get("step", 0.0) for optimizer in optimizers]
    steps = torch.tensor([float(step) for step in first], device=flat.parameters.device)
    for optimizer, step in zip(optimizers, steps, strict=True):
        for parameter in _group(optimizer)["params"]:
            optimizer.state[parameter]["step"] = step
    return steps


def _alike(optimizers: Sequence[Optimizer], names: Sequence[str]) -> list[list[int]]:
    """Indices of members, grouped by equal settings: one call of a kernel can update a group."""
    groups: dict[str, list[int]] = {}
    for member, optimizer in enumerate(optimizers):
        groups.setdefault(repr([_group(optimizer)[name] for name in names]), []).append(member)
    return list(groups.values())


def _calls(alike: Sequence[list[int]], rates: Sequence[float]) -> list[tuple[float, list[int]]]:
    """Learning rate and members of each kernel call: a group whose learning rates differ is updated one by one."""
    calls = []
    for members in alike:
        if len({rates[member] for member in members}) == 1:
            calls.append((rates[members[0]], members))
        else:
            calls += [(rates[member], [member]) for member in members]
    return calls


def fused_adam(optimizers: Sequence[Optimizer], flat: Flat) -> Update:
    """Adam and AdamW by torch's fused kernel.

    The kernels are private names of torch. The public function around them counts the steps of each tensor, which takes
    half as long as the update itself.
    """
    kernel = torch._fused_adamw_ if type(optimizers[0]) is AdamW else torch._fused_adam_
    weights, gradients = list(flat.parameters), list(flat.gradients)
    means, squares = (list(_state(optimizers, flat, name)) for name in ("exp_avg", "exp_avg_sq"))
    steps = _steps(optimizers, flat)
    step_of = list(steps)
    alike = _alike(optimizers, ("betas", "eps", "weight_decay"))
    groups = [_group(optimizer) for optimizer in optimizers]

    def update(rates: Sequence[float] | Tensor) -> None:
        steps.add_(1)
        for rate, members in _calls(alike, rates):  # type: ignore[arg-type]
            group = groups[members[0]]
            kernel(
                [weights[member] for member in members],
                [gradients[member] for member in members],
                [means[member] for member in members],
                [squares[member] for member in members],
                [],
                [step_of[member] for member in members],
                lr=rate,
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    return update


def fused_sgd(optimizers: Sequence[Optimizer], flat: Flat) -> Update:
    """SGD by torch's fused kernel, a private name of torch for the reason in `fused_adam`."""
    groups = [_group(optimizer) for optimizer in optimizers]
    weights, gradients = list(flat.parameters), list(flat.gradients)
    with_momentum = any(group["momentum"] for group in groups)
    buffers = list(_state(optimizers, flat, "momentum_buffer")) if with_momentum else []
    alike = _alike(optimizers, ("momentum", "nesterov", "weight_decay"))

    def update(rates: Sequence[float] | Tensor) -> None:
        for rate, members in _calls(alike, rates):  # type: ignore[arg-type]
            group = groups[members[0]]
            torch._fused_sgd_(
                [weights[member] for member in members],
                [gradients[member] for member in members],
                [buffers[member] for member in members] if group["momentum"] else [],
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=rate,
                dampening=0.0,
                nesterov=group["nesterov"],
                maximize=False,
                is_first_step=False,
            )

    return update


def _column(values: Sequence[float], flat: Flat) -> Tensor:
    """One value per member as a tensor `(M, 1)`."""
    return flat.parameters.new_tensor(values).view(-1, 1)


def elementwise_adam(optimizers: Sequence[Optimizer], flat: Flat) -> Update:
    """Adam and AdamW by the formulas in the documentation of torch.optim.Adam and AdamW."""
    groups = [_group(optimizer) for optimizer in optimizers]
    decoupled = type(optimizers[0]) is AdamW
    weight, gradient = flat.parameters, flat.gradients
    mean, square = (_state(optimizers, flat, name) for name in ("exp_avg", "exp_avg_sq"))
    steps = _steps(optimizers, flat)
    step = steps.view(-1, 1)
    first, second = (_column([group["betas"][at] for group in groups], flat) for at in (0, 1))
    eps, decay = (_column([group[name] for group in groups], flat) for name in ("eps", "weight_decay"))

    def update(rates: Sequence[float] | Tensor) -> None:
        rate = _as_column(rates, flat)
        steps.add_(1)
        if decoupled:
            weight.mul_(1 - rate * decay)
        direction = gradient if decoupled else gradient.addcmul(decay, weight)
        mean.lerp_(direction, 1 - first)
        square.mul_(second).addcmul_(direction, direction * (1 - second))
        root = square.sqrt().div_((1 - second**step).sqrt()).add_(eps)
        weight.sub_(rate / (1 - first**step) * mean / root)

    return update


def elementwise_sgd(optimizers: Sequence[Optimizer], flat: Flat) -> Update:
    """SGD by the formulas in the documentation of torch.optim.SGD."""
    groups = [_group(optimizer) for optimizer in optimizers]
    weight, gradient = flat.parameters, flat.gradients
    momentum, decay = (_column([group[name] for group in groups], flat) for name in ("momentum", "weight_decay"))
    nesterov = bool(groups[0]["nesterov"])
    buffer = _state(optimizers, flat, "momentum_buffer") if any(group["momentum"] for group in groups) else None

    def update(rates: Sequence[float] | Tensor) -> None:
        direction = gradient.addcmul(decay, weight)
        if buffer is not None:
            buffer.mul_(momentum).add_(direction)
            direction = direction.addcmul_(momentum, buffer) if nesterov else buffer
        weight.sub_(_as_column(rates, flat) * direction)

    return update


def _as_column(rates: Sequence[float] | Tensor, flat: Flat) -> Tensor:
    return rates if isinstance(rates, Tensor) else _column(rates, flat)


UPDATES: dict[type[Optimizer], tuple[Callable[..., Update], Callable[..., Update]]] = {
    AdamW: (fused_adam, elementwise_adam),
    Adam: (fused_adam, elementwise_adam),
    SGD: (fused_sgd, elementwise_sgd),
}
"""For each optimizer: the fused update, and the elementwise one."""
