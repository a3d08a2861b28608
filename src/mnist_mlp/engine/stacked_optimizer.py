"""The optimizer of a stack: the update of torch.optim, with the learning rate and the rest of each member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.sgd import sgd

Update = Callable[[], None]


def share_rows(tensors: Sequence[Tensor]) -> Tensor:
    """Move tensors of one shape into one stacked tensor `(members, *shape)`, and let each be a view of its row."""
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, row in zip(tensors, stacked, strict=True):
        tensor.data = row
    return stacked


def prepare(optimizer: Optimizer) -> None:
    """Give every parameter its gradient and its state, at zero; torch makes the state at the first step only."""
    for parameter in _parameters(optimizer):
        parameter.grad = torch.zeros_like(parameter)
    rate = _group(optimizer)["lr"]
    _group(optimizer)["lr"] = torch.zeros_like(rate) if isinstance(rate, Tensor) else 0.0
    optimizer.step()
    _group(optimizer)["lr"] = rate
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, Tensor):
                value.zero_()


def build_update(optimizers: Sequence[Optimizer], weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Update:
    """An update of all members at once, from their gradients and with their current learning rates.

    `weights` and `gradients` are stacked `(members, ...)`; the optimizers' parameters are views of their rows.

    On the CPU it is torch's fused kernel, once a member: a third of the time of elementwise operations over the whole
    stack, as it goes through memory once. Elsewhere a call costs more than its work, so there it is elementwise.
    """
    if weights[0].device.type == "cpu":
        return fused(optimizers)
    return elementwise(optimizers, weights, gradients)


def fused(optimizers: Sequence[Optimizer]) -> Update:
    calls = [(_fused(optimizer), _group(optimizer)) for optimizer in optimizers]
    counts = [state["step"] for optimizer in optimizers for state in optimizer.state.values() if "step" in state]
    steps = share_rows(counts) if counts else torch.empty(0)

    def update() -> None:
        steps.add_(1)
        for call, group in calls:
            call(lr=group["lr"])

    return update


def _fused(optimizer: Optimizer) -> Callable[..., None]:
    """The kernel itself for Adam: torch's functions around it count the steps of each tensor, for half its time."""
    parameters, group = _parameters(optimizer), _group(optimizer)
    shared: dict[str, Any] = {"weight_decay": group["weight_decay"], "maximize": False}
    gradients: Any = [parameter.grad for parameter in parameters]
    states = [optimizer.state.get(parameter, {}) for parameter in parameters]
    if isinstance(optimizer, SGD):
        buffers = [state.get("momentum_buffer") for state in states]
        momentum = {"momentum": group["momentum"], "nesterov": group["nesterov"], "dampening": 0.0}
        return partial(sgd, parameters, gradients, buffers, **momentum, **shared, fused=True)
    return partial(
        torch._fused_adamw_ if isinstance(optimizer, AdamW) else torch._fused_adam_,
        parameters,
        gradients,
        [state["exp_avg"] for state in states],
        [state["exp_avg_sq"] for state in states],
        [],
        [state["step"] for state in states],
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        eps=group["eps"],
        amsgrad=False,
        **shared,
    )


def elementwise(optimizers: Sequence[Optimizer], weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> Update:
    """The formulas in the documentation of torch.optim.Adam, AdamW and SGD, with a column for each member's value."""
    columns = zip(*(_parameters(optimizer) for optimizer in optimizers), strict=True)
    parts = [
        _part(optimizers, parameters, weight, gradient)
        for parameters, weight, gradient in zip(columns, weights, gradients, strict=True)
    ]

    def update() -> None:
        for part in parts:
            part()

    return update


def _part(optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], weight: Tensor, gradient: Tensor) -> Update:
    """The update of one weight or one bias of every member."""
    states = [optimizer.state.get(parameter, {}) for optimizer, parameter in zip(optimizers, parameters, strict=True)]
    groups = [_group(optimizer) for optimizer in optimizers]
    shape = (len(parameters),) + (1,) * parameters[0].dim()

    def column(values: Sequence[Any]) -> Tensor:
        if isinstance(values[0], Tensor):
            return share_rows(values).view(shape)
        return torch.tensor(values, dtype=weight.dtype, device=weight.device).view(shape)

    decay = column([group["weight_decay"] for group in groups])
    rates = [group["lr"] for group in groups]
    rate = column(rates)

    def current_rate() -> Tensor:
        return rate if isinstance(rates[0], Tensor) else column([group["lr"] for group in groups])

    if isinstance(optimizers[0], SGD):
        momentum = column([group["momentum"] for group in groups])
        nesterov = bool(groups[0]["nesterov"])
        buffer = torch.zeros_like(weight)
        for state, row in zip(states, buffer, strict=True):
            if "momentum_buffer" in state:
                row.copy_(state["momentum_buffer"])
                state["momentum_buffer"] = row

        def descend() -> None:
            gradient.addcmul_(decay, weight)
            buffer.mul_(momentum).add_(gradient)
            direction = gradient.addcmul_(momentum, buffer) if nesterov else buffer
            weight.sub_(current_rate() * direction)

        return descend

    first, second = (column([group["betas"][index] for group in groups]) for index in (0, 1))
    eps = column([group["eps"] for group in groups])
    mean, square = (share_rows([state[name] for state in states]) for name in ("exp_avg", "exp_avg_sq"))
    step = share_rows([state["step"] for state in states]).view(shape)
    decoupled = isinstance(optimizers[0], AdamW)

    def adapt() -> None:
        step.add_(1)
        if decoupled:
            weight.mul_(1 - current_rate() * decay)
        else:
            gradient.addcmul_(decay, weight)
        mean.lerp_(gradient, 1 - first)
        square.mul_(second).addcmul_(gradient, gradient * (1 - second))
        root = square.sqrt().div_((1 - second**step).sqrt()).add_(eps)
        weight.sub_(current_rate() / (1 - first**step) * mean / root)

    return adapt


def _group(optimizer: Optimizer) -> dict[str, Any]:
    return optimizer.param_groups[0]


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    parameters: list[Tensor] = _group(optimizer)["params"]
    return parameters
