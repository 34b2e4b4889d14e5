"""Small stand-ins with which a plugin can be tried in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sslbench.hooks.contracts import EvaluationData, FeatureSet, Split
from sslbench.train.models import Backbone, TokenBackbone


class TinyBackbone(Backbone):
    """One strided convolution and the mean over positions: any size from 4 pixels, ``feature_dim`` features."""

    def __init__(self, feature_dim: int = 16) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.net = nn.Sequential(nn.Conv2d(3, feature_dim, 3, 2, 1), nn.BatchNorm2d(feature_dim), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images).mean(dim=(2, 3))


class TinyTokenBackbone(TokenBackbone):
    """One linear layer on patches, a class token and one mixing layer."""

    prefix_tokens = 1

    def __init__(self, image_size: int = 16, patch_size: int = 4, token_dim: int = 16) -> None:
        super().__init__()
        self.feature_dim = self.token_dim = token_dim
        self.patch_size = patch_size
        self.grid = (image_size // patch_size,) * 2
        self.project = nn.Conv2d(3, token_dim, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, token_dim))
        self.mix = nn.Linear(token_dim, token_dim)

    def embed(self, images: Tensor) -> Tensor:
        return self.project(images).flatten(2).transpose(1, 2)

    def encode(self, tokens: Tensor) -> Tensor:
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        return tokens + self.mix(tokens.mean(dim=1, keepdim=True)).tanh()

    def forward(self, images: Tensor) -> Tensor:
        return self.encode(self.embed(images))[:, 1:].mean(dim=1)


@dataclass(frozen=True)
class TinyDataset:
    """Two classes of noisy 8 px images, one bright above, one bright below."""

    train_images: int = 64
    test_images: int = 32
    image_size: int = 8
    classes: tuple[str, ...] = ("above", "below")
    mean: tuple[float, float, float] = (0.4, 0.4, 0.4)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    def split(self, name: Literal["train", "test"]) -> Split:
        count = self.train_images if name == "train" else self.test_images
        generator = torch.Generator().manual_seed(1 if name == "train" else 2)
        labels = torch.arange(count) % 2
        images = torch.randint(0, 120, (count, 3, self.image_size, self.image_size), generator=generator)
        half = self.image_size // 2
        images[labels == 0, :, :half] += 100
        images[labels == 1, :, half:] += 100
        return Split(images.to(torch.uint8), labels)


def blobs(classes: int = 3, per_class: int = 30, dim: int = 8, seed: int = 0, noise: float = 0.3) -> EvaluationData:
    """Features that a good evaluator tells apart: one Gaussian blob a class, around unit vectors."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.eye(max(dim, classes))[:classes, :dim]

    def part() -> FeatureSet:
        labels = torch.arange(classes).repeat_interleave(per_class)
        features = centres[labels] + noise * torch.randn(len(labels), dim, generator=generator)
        return FeatureSet(features, labels)

    return EvaluationData(part(), part(), classes, seed)
