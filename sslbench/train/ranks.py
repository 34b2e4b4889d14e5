"""What the processes of one training exchange, one for each device: its ranks. Without a process group there is one.

Gradients are averaged over the ranks. So where every rank's loss is the mean over its own images, N ranks of B images
take the gradient of one rank of N * B.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, distributed, nn

from sslbench.errors import PluginError

PATIENCE = timedelta(days=7)
"""that ranks wait for each other: rank 0 may evaluate for hours; of one that died, those who started it know at once"""
BUCKET_BYTES = 64 << 20
"""of gradients that are averaged at once"""
_alone = False


def ranks() -> int:
    """Number of processes that train together, each on a share of every batch; 1 without a process group."""
    return (
        1
        if _alone or not distributed.is_available() or not distributed.is_initialized()
        else distributed.get_world_size()
    )


def rank() -> int:
    """The number of this process among them, from 0."""
    return distributed.get_rank() if ranks() > 1 else 0


@contextmanager
def process_group(device: torch.device, timeout: timedelta = PATIENCE, **where: Any) -> Iterator[None]:
    """Meet the other ranks, at the place that the environment names or that ``where`` gives to torch's
    ``init_process_group``. On a GPU, tensors in memory go another way, which waits for no device."""
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=timeout, **where)
    yield
    distributed.destroy_process_group()


@contextmanager
def alone() -> Iterator[None]:
    """Within it this process is the only rank: for what the others do not do as well."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def own(purpose: str) -> str:
    """The purpose of a random stream of this rank's own. That of rank 0 is the stream of one process."""
    return f"{purpose}/{rank()}" if rank() else purpose


def own_share(rows: Tensor, parts: int = 1) -> Tensor:
    """This rank's of the rows of a whole batch, ``[B, ...]`` -> ``[B / ranks, ...]``: a run of each of ``parts`` parts,
    so that a part has the same images on however many ranks."""
    if ranks() == 1:
        return rows
    return rows.reshape(parts, ranks(), -1, *rows.shape[1:])[:, rank()].flatten(0, 1)


def agreed(*values: float) -> list[float]:
    """The values of rank 0: what depends on a clock or a disk must not be decided by each rank for itself."""
    if ranks() > 1:
        of_first = torch.tensor([0.0, *values], dtype=torch.float64)
        distributed.broadcast(of_first, 0)
        return of_first.tolist()[1:]
    return list(values)


def largest(value: int | None) -> int | None:
    """Of all ranks; None where one does not know it."""
    if ranks() == 1:
        return value
    values = torch.stack(every_rank(torch.tensor(-1 if value is None else value)))
    return None if int(values.min()) < 0 else int(values.max())


@contextmanager
def first_alone() -> Iterator[None]:
    """Within it rank 0 works first, then the others: what it fetches or caches, they find."""
    if rank():
        agreed()
    yield
    if ranks() > 1 and not rank():
        agreed()


def own_run(count: int) -> range:
    """This rank's of ``count`` things that the ranks do in order; rank 0 has one if there is any."""
    bounds = [-(-count * number // ranks()) for number in (rank(), rank() + 1)]
    return range(*bounds)


def gathered(local: Tensor) -> Tensor:
    """``[B, ...]`` -> ``[ranks * B, ...]`` in the order of the ranks; the gradient flows back to each rank. Every rank
    must come here, with a tensor of the same shape."""
    return local if ranks() == 1 else _gathered(local)


def mean_over_ranks(local: Tensor) -> Tensor:
    """The mean of a tensor of equal shape on every rank, with gradients. Every rank must come here."""
    return local if ranks() == 1 else _mean(local)


def every_rank(local: Tensor) -> list[Tensor]:
    """The tensor of each rank, of equal shape and dtype; without gradients."""
    parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(ranks())]
    distributed.all_gather(parts, local.detach().contiguous())
    return parts


def on_first(rows: Tensor, count: int) -> Tensor:
    """The rows ``[n, D]`` of all ranks in their order on rank 0, ``[count, D]``; on the others their own. A rank may
    have none, rank 0 has one if there is any."""
    lengths = [int(length) for length in every_rank(torch.tensor(len(rows)))]
    if rank():
        if len(rows):
            distributed.send(rows.contiguous(), 0)
        return rows
    everyone = rows.new_empty(count, *rows.shape[1:])
    for sender, part in enumerate(torch.split(everyone, lengths)):
        if sender == 0:
            part.copy_(rows)
        elif len(part):
            distributed.recv(part, sender)
    return everyone


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        return torch.cat(every_rank(local))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Every rank's loss depends on this rank's rows.
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.chunk(ranks())[rank()]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        total = local.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def _gathered(local: Tensor) -> Tensor:
    result: Tensor = _Gather.apply(local)
    return result


def _mean(local: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(local)
    return total / ranks()


def outside_graphs() -> None:
    """From now on a compiled method leaves its graph for what ranks exchange, and comes back. Not by a decorator: that
    would load torch's compiler for everybody."""
    global _gathered, _mean
    _gathered, _mean = (torch.compiler.disable(function) for function in (_gathered, _mean))  # type: ignore[no-untyped-call]


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the ranks; one that a rank does not have counts as zeros, and one that
    no rank has stays away: with zeros, weight decay and momentum would still move the parameter."""
    if ranks() == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    anywhere = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    distributed.all_reduce(anywhere)
    found = [p for p, count in zip(trained, anywhere.tolist(), strict=True) if count]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in found]
    for p, gradient in zip(found, gradients, strict=True):
        p.grad = gradient
    for _, group in groupby(sorted(gradients, key=dtype_name), dtype_name):
        for bucket in buckets(list(group)):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            distributed.all_reduce(flat)
            parts = torch.split(flat.div_(ranks()), [gradient.numel() for gradient in bucket])
            means = [part.view(gradient.shape) for part, gradient in zip(parts, bucket, strict=True)]
            torch._foreach_copy_(bucket, means)


def dtype_name(tensor: Tensor) -> str:
    """For sorting."""
    return str(tensor.dtype)


def buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours together, up to ``BUCKET_BYTES`` or one tensor."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and size + tensor.nbytes > BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket


@torch.no_grad()
def take_from_first(tensors: Iterable[Tensor]) -> None:
    """Give each tensor the value that it has on rank 0."""
    for tensor in tensors if ranks() > 1 else ():
        if tensor.is_contiguous():
            distributed.broadcast(tensor, 0)
        else:
            values = tensor.contiguous()
            distributed.broadcast(values, 0)
            tensor.copy_(values)


def check_in_step(method: nn.Module) -> None:
    """Raises PluginError where weights or buffers have not the same bits on every rank."""
    name = first_different(method.state_dict())
    if name is not None:
        what = f"{name!r} of the method is not the same on all {ranks()} devices after a step"
        raise PluginError(f"{what}; it must come from all of them (sslbench.gathered, sslbench.mean_over_ranks)")


def first_different(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first that has not the same bits on every rank."""
    for name, tensor in tensors.items() if ranks() > 1 else ():
        others = every_rank(tensor.detach().contiguous().flatten().view(torch.uint8))
        if any(not torch.equal(others[0], other) for other in others[1:]):
            return name
    return None
