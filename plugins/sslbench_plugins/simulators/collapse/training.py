"""A small network trained by the losses of VICReg, Barlow Twins and SwAV on vectors in clusters, for S seeds at once:
each tensor has the seeds in front, ``[S, ...]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.func import vmap
from torch.nn import functional

from sslbench_plugins.blocks.objectives.redundancy import (
    covariance,
    covariance_term,
    cross_correlation,
    effective_dimensions,
    off_diagonal_term,
    on_diagonal_term,
    variance_term,
)
from sslbench_plugins.blocks.objectives.sinkhorn import sinkhorn

CLUSTERS, INPUTS, HIDDEN, DIM = 8, 16, 32, 8
WITHIN, VIEW = 0.8, 1.0
"""deviations: of images around the centre of their cluster, of views around their image; centres have 1"""
RATE = 1e-2
NEIGHBOURS = 5
PROTOTYPES, TEMPERATURE, EPSILON = 16, 0.1, 0.05
PairLoss = Callable[[Tensor, Tensor], Tensor]
"""the embeddings of two views, ``[N, DIM]`` each -> a scalar"""
Measures = dict[str, list[float]]
"""what was measured, for each seed"""


class Streams:
    """A generator of each seed, and draws of all of them, ``[S, ...]``; a seed draws the same whatever others there
    are."""

    def __init__(self, seeds: Sequence[int], purpose: int) -> None:
        self.generators = [Generator().manual_seed(1000 * seed + purpose) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(*shape, generator=generator) for generator in self.generators])

    def orders(self, count: int) -> Tensor:
        return torch.stack([torch.randperm(count, generator=generator) for generator in self.generators])


@dataclass
class World:
    """Images ``[S, N, INPUTS]`` in clusters, the cluster of each ``[N]``, and an encoder with one hidden layer and no
    norm that would prevent a collapse."""

    images: Tensor
    labels: Tensor
    weights: list[Tensor]

    @classmethod
    def of(cls, seeds: Sequence[int], images: int) -> World:
        """The same for the same seeds."""
        drawn = Streams(seeds, 0)
        labels = torch.arange(images) % CLUSTERS
        around = drawn.normal(CLUSTERS, INPUTS)[:, labels] + WITHIN * drawn.normal(images, INPUTS)
        weights = [
            drawn.normal(INPUTS, HIDDEN) * (2 / INPUTS) ** 0.5,
            drawn.normal(HIDDEN, DIM) / HIDDEN**0.5,
        ]
        return cls(around, labels, [weight.requires_grad_() for weight in weights])

    def encode(self, images: Tensor) -> Tensor:
        """``[S, B, INPUTS]`` -> ``[S, B, DIM]``."""
        return functional.relu(images @ self.weights[0]) @ self.weights[1]

    def views(self, images: Tensor, noise: Streams) -> Tensor:
        """Embeddings of one view of each image."""
        return self.encode(images + VIEW * noise.normal(*images.shape[1:]))


def vicreg(invariance: float = 25.0, variance: float = 25.0, covariances: float = 1.0) -> PairLoss:
    """VICReg's loss with these weights."""

    def loss(first: Tensor, second: Tensor) -> Tensor:
        a, b = covariance(first), covariance(second)
        hinge = (variance_term(a, 1.0, 1e-4) + variance_term(b, 1.0, 1e-4)) / 2
        distance = functional.mse_loss(first, second)
        return invariance * distance + variance * hinge + covariances * (covariance_term(a) + covariance_term(b))

    return loss


def barlow_twins(redundancy: float) -> PairLoss:
    """Barlow Twins' loss with this weight of what is beside the diagonal."""

    def loss(first: Tensor, second: Tensor) -> Tensor:
        matrix = cross_correlation(first, second)
        return on_diagonal_term(matrix) + redundancy * off_diagonal_term(matrix)

    return loss


def train_pairs(seeds: Sequence[int], steps: int, images: int, loss: PairLoss | None) -> Measures:
    """Steps on two views of all images; what is measured afterwards. ``loss`` None: of an untrained encoder."""
    world, noise = World.of(seeds, images), Streams(seeds, 1)
    optimizer = torch.optim.Adam(world.weights, lr=RATE)
    if loss is not None:
        losses = vmap(loss)
        for _ in range(steps):
            minimise(optimizer, losses(world.views(world.images, noise), world.views(world.images, noise)))
    return measures(world, seeds)


def train_codes(
    seeds: Sequence[int], epochs: int, images: int, batch: int, queue: int = 0, iterations: int = 3
) -> Measures:
    """SwAV with so many images in a batch and in the queue; what is measured afterwards."""
    world, noise, order = World.of(seeds, images), Streams(seeds, 1), Streams(seeds, 2)
    prototypes = functional.normalize(Streams(seeds, 3).normal(PROTOTYPES, DIM), dim=2).requires_grad_()
    optimizer = torch.optim.Adam([*world.weights, prototypes], lr=RATE)
    assign = vmap(vmap(partial(sinkhorn, epsilon=EPSILON, iterations=iterations)))
    past = torch.empty(2, len(seeds), 0, DIM)
    for rows in (rows for _ in range(epochs) for rows in torch.split(order.orders(images), batch, dim=1)):
        some = world.images.gather(1, rows[:, :, None].expand(-1, -1, INPUTS))
        # [2, S, B, DIM]
        pair = torch.stack([functional.normalize(world.views(some, noise), dim=2) for _ in range(2)])
        known = torch.cat([pair.detach(), past], dim=2) if past.shape[2] == queue else pair.detach()
        codes = assign(known @ prototypes.detach().mT)[:, :, : rows.shape[1]]
        predicted = (pair @ prototypes.mT / TEMPERATURE).log_softmax(3)
        minimise(optimizer, -(codes * predicted.flip(0)).sum(3).mean((0, 2)))
        past = torch.cat([past, pair.detach()], dim=2)[:, :, -queue:] if queue else past
        with torch.no_grad():
            prototypes.copy_(functional.normalize(prototypes, dim=2))
    return measures(world, seeds) | prototypes_used(world, prototypes)


def minimise(optimizer: torch.optim.Optimizer, losses: Tensor) -> None:
    """A step of every seed's weights by its loss, ``[S]``; the gradients of the sum are those of each."""
    optimizer.zero_grad()
    torch.autograd.backward(losses.sum())
    optimizer.step()


@torch.no_grad()
def prototypes_used(world: World, prototypes: Tensor) -> Measures:
    """The perplexity of the mean prediction over all images: from 1, all of one prototype, to ``PROTOTYPES``."""
    scores = functional.normalize(world.encode(world.images), dim=2) @ prototypes.mT
    shares = (scores / TEMPERATURE).softmax(2).mean(1)
    return {"prototypes_used": torch.special.entr(shares).sum(1).exp().tolist()}


@torch.no_grad()
def measures(world: World, seeds: Sequence[int]) -> Measures:
    """Of the embeddings of all images: the root of their mean variance; the same of their directions; the dimensions
    that they spread over; how far apart two views are as a share of how far apart two images are; the share of images
    whose nearest others are mostly of their cluster."""
    embeddings = world.encode(world.images)
    others = world.views(world.images, Streams(seeds, 4))
    matrices = vmap(covariance)(embeddings)
    variance = matrices.diagonal(dim1=1, dim2=2).mean(1)
    apart = (embeddings - others).square().mean((1, 2)) / (2 * variance)
    directions = functional.normalize(embeddings, dim=2).var(1, unbiased=False).sum(1)
    distances = torch.cdist(embeddings, embeddings)
    distances.diagonal(dim1=1, dim2=2).fill_(float("inf"))
    nearest = world.labels[distances.topk(NEIGHBOURS, largest=False).indices]
    right = functional.one_hot(nearest, CLUSTERS).sum(2).argmax(2) == world.labels
    return {
        "deviation": variance.sqrt().tolist(),
        "spread": directions.sqrt().tolist(),
        "dimensions": vmap(effective_dimensions)(matrices).tolist(),
        "views_apart": apart.sqrt().tolist(),
        "accuracy": right.float().mean(1).tolist(),
    }
