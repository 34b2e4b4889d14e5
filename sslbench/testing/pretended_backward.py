"""The backward pass on a pretended GPU: torch's own asks the driver for its streams, and there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction


def backward(tensor: Tensor, gradient: Tensor | None = None, *args: Any, **kwargs: Any) -> None:
    """``Tensor.backward``: the same operations as torch's, called one after the other.

    Hooks of tensors are not called, and graphs are kept.
    """
    if tensor.grad_fn is None:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    given: dict[Any, dict[int, Tensor]] = {
        tensor.grad_fn: {tensor.output_nr: torch.ones_like(tensor) if gradient is None else gradient}
    }
    with torch.no_grad():
        for node in from_loss(tensor.grad_fn):
            if node in given:
                pass_on(node, given)


def from_loss(last: Any) -> Sequence[Any]:
    """Nodes of the graph, each before those that it gives gradients to."""
    order: list[Any] = []
    seen, open_ = set(), [(last, False)]
    while open_:
        node, done = open_.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            open_.append((node, True))
            open_.extend((after, False) for after, _ in node.next_functions if after is not None)
    return order[::-1]


def pass_on(node: Any, given: dict[Any, dict[int, Tensor]]) -> None:
    """Give the nodes after one their gradients, in the shape and dtype of what they are gradients of."""
    gradients = given.pop(node, {})
    if (parameter := getattr(node, "variable", None)) is not None:
        keep(parameter, gradients[0])
        return
    arrived = [gradients.get(index) for index in range(len(node._input_metadata))]
    if BackwardCFunction in type(node).__mro__:  # a ``Function`` in Python is given zeros where nothing arrived
        results = node.apply(*map(zeros_for_none, arrived, node._input_metadata))
    else:
        results = node(*arrived)
    results = results if isinstance(results, tuple) else (results,)
    for result, (after, index) in zip(results, node.next_functions, strict=False):
        if after is None or result is None:
            continue
        expected = after._input_metadata[index]
        result = result if list(result.shape) == list(expected.shape) else result.sum_to_size(expected.shape)
        result = result if result.dtype == expected.dtype else result.to(expected.dtype)
        at = given.setdefault(after, {})
        at[index] = at[index] + result if index in at else result


def zeros_for_none(gradient: Tensor | None, expected: Any) -> Tensor:
    if gradient is not None:
        return gradient
    return torch.zeros(expected.shape, dtype=expected.dtype, device=expected.device)


def keep(parameter: Tensor, gradient: Tensor) -> None:
    """As torch does: the tensor itself as the first gradient, if it lies in memory as the parameter does."""
    if parameter.grad is not None:
        parameter.grad += gradient
    elif gradient.stride() == parameter.stride():
        parameter.grad = gradient.detach()
    else:
        parameter.grad = torch.empty_like(parameter).copy_(gradient)
