"""Small networks trained side by side with LeJEPA's loss on points with a class and a nuisance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from sslbench_plugins.blocks.objectives.sigreg import epps_pulley, unit_slices

CLASSES, SIGNAL, NUISANCE, HIDDEN, DIM = 8, 6, 10, 32, 6
"""classes; dimensions that tell them, and that every view draws anew; widths of the network"""
WITHIN, JITTER, SIZE = 0.6, 0.2, 1.5
"""standard deviations: of a class, of a view's signal, of its nuisance"""
BATCH, SLICES, KNOTS, REACH, EVALUATED = 32, 8, 17, 3.0, 1000
BETAS, EPS = (0.9, 0.999), 1e-8
LAST = 0.2
"""share of the steps whose mean loss is the loss of a training"""


@dataclass(frozen=True)
class Trained:
    """What came out of one recipe."""

    share: float
    """of SIGReg in the loss, lambda"""
    lr: float
    loss: float
    accuracy: float
    """of the nearest class mean, on other points, 0..1"""
    deviation: float
    """standard deviation of the embedding, mean over its dimensions; that of a standard Gaussian is 1"""


class Points:
    """Points of classes, and two views of each; everything from one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = Generator().manual_seed(seed)
        self.centres = self.normal(CLASSES, SIGNAL)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(*shape, generator=self.generator)

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Signals ``[N, SIGNAL]`` and classes ``[N]``."""
        classes = torch.randint(CLASSES, (count,), generator=self.generator)
        return self.centres[classes] + WITHIN * self.normal(count, SIGNAL), classes

    def view(self, signal: Tensor) -> Tensor:
        """``[N, SIGNAL]`` -> ``[N, SIGNAL + NUISANCE]``."""
        noisy = signal + JITTER * self.normal(*signal.shape)
        return torch.cat([noisy, SIZE * self.normal(len(signal), NUISANCE)], dim=1)


class Networks:
    """One hidden layer, for each of R recipes a network that starts as all others do."""

    def __init__(self, points: Points, recipes: int) -> None:
        wide = SIGNAL + NUISANCE
        start = [points.normal(wide, HIDDEN) / wide**0.5, torch.zeros(1, HIDDEN)]
        start += [points.normal(HIDDEN, DIM) / HIDDEN**0.5, torch.zeros(1, DIM)]
        self.weights = [tensor.expand(recipes, -1, -1).clone().requires_grad_() for tensor in start]
        self.moments = [(torch.zeros_like(weight), torch.zeros_like(weight)) for weight in self.weights]

    def __call__(self, inputs: Tensor) -> Tensor:
        """``[N, SIGNAL + NUISANCE]`` -> ``[R, N, DIM]``."""
        first, bias, second, last = self.weights
        outputs: Tensor = (inputs @ first + bias).relu() @ second + last
        return outputs

    @torch.no_grad()
    def adam(self, gradients: Sequence[Tensor], step: int, lr: Tensor) -> None:
        """Adam, with a learning rate for each network, ``[R, 1, 1]``."""
        for weight, gradient, (first, second) in zip(self.weights, gradients, self.moments, strict=True):
            first.lerp_(gradient, 1 - BETAS[0])
            second.lerp_(gradient.square(), 1 - BETAS[1])
            unbiased, square = first / (1 - BETAS[0] ** step), second / (1 - BETAS[1] ** step)
            weight -= lr * unbiased / (square.sqrt() + EPS)


def train(seed: int, recipes: Sequence[tuple[float, float]], steps: int) -> list[Trained]:
    """A network for each (lambda, learning rate), on the same points and views."""
    points = Points(seed)
    networks = Networks(points, len(recipes))
    shares, rates = torch.tensor(recipes).T
    losses = []
    for step in range(steps):
        signal, _ = points.draw(BATCH)
        views = torch.cat([points.view(signal), points.view(signal)])
        loss = lejepa_loss(networks(views).view(-1, 2, BATCH, DIM), shares, step)
        networks.adam(torch.autograd.grad(loss.sum(), networks.weights), step + 1, rates.view(-1, 1, 1))
        losses.append(loss.detach())
    final = torch.stack(losses[-max(1, round(LAST * steps)) :]).mean(dim=0)
    accuracy, deviation = evaluated(points, networks)
    rows = zip(recipes, final.tolist(), accuracy.tolist(), deviation.tolist(), strict=True)
    return [Trained(*recipe, *numbers) for recipe, *numbers in rows]


def lejepa_loss(embeddings: Tensor, shares: Tensor, step: int) -> Tensor:
    """Of each of R recipes, ``[R]``; embeddings ``[R, V, B, D]``, all views global."""
    prediction = (embeddings.mean(dim=1, keepdim=True) - embeddings).square().mean(dim=(1, 2, 3))
    slices = unit_slices(DIM, SLICES, step, embeddings.device)
    regulariser = epps_pulley(embeddings, slices, KNOTS, REACH).mean(dim=(1, 2))
    return (1 - shares) * prediction + shares * regulariser


@torch.no_grad()
def evaluated(points: Points, networks: Networks) -> tuple[Tensor, Tensor]:
    """Accuracy of the nearest class mean on points that were not trained on, and the embedding's deviation, ``[R]``."""
    (known, classes), (signal, answers) = points.draw(EVALUATED), points.draw(EVALUATED)
    fitted, embedded = networks(points.view(known)), networks(points.view(signal))
    means = torch.stack([fitted[:, classes == label].mean(dim=1) for label in range(CLASSES)], dim=1)
    nearest = torch.cdist(embedded, means).argmin(dim=-1)
    return (nearest == answers).float().mean(dim=-1), embedded.std(dim=1).mean(dim=-1)
