"""Small backbones, methods, data sets and features that plugins can be tried on in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.backbone import Backbone, TokenBackbone
from sslbench.contracts.dataset import Split, SplitName
from sslbench.contracts.evaluator import EvaluationData, FeatureSet
from sslbench.contracts.masking import MaskRequest
from sslbench.contracts.method import Method, Progress
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import extract_all
from sslbench.evaluate.shown_images import SplitImages
from sslbench.train.data import make_splits


class TinyBackbone(Backbone):
    """One strided convolution and the mean over positions: any size from 4 pixels, ``feature_dim`` features."""

    def __init__(self, feature_dim: int = 16) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.net = nn.Sequential(nn.Conv2d(3, feature_dim, 3, 2, 1), nn.BatchNorm2d(feature_dim), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """``[B, feature_dim]``."""
        features: Tensor = self.net(images).mean(dim=(2, 3))
        return features


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

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """None: zeros ``[patches, token_dim]``."""
        return torch.zeros(grid[0] * grid[1], self.token_dim, device=self.class_token.device)

    def embed(self, images: Tensor) -> Tensor:
        """``[B, patches, token_dim]``."""
        patches: Tensor = self.project(images)
        return patches.flatten(2).transpose(1, 2)

    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        """``[B, 1 + patches, blocks * token_dim]``, of one or two blocks."""
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        mixed: Tensor = self.mix(tokens.mean(dim=1, keepdim=True))
        parts = [tokens, tokens + mixed.tanh()]
        return torch.cat(parts[-blocks:], dim=2)

    def pool(self, encoded: Tensor) -> Tensor:
        """``[B, feature_dim]``: the mean over the patches."""
        return encoded[:, 1:].mean(dim=1)

    def attention(self, images: Tensor) -> Tensor:
        """``[B, 2, patches]``."""
        scores = self.embed(images).sum(dim=2)
        return torch.stack([scores, -scores], dim=1).softmax(dim=2)


class TinyReconstructor(Method):
    """Takes no training step; reconstructs masked patches as the mean of the visible pixels."""

    views: tuple[ViewRequest, ...] = ()

    def __init__(self, image_size: int = 16) -> None:
        super().__init__()
        self.backbone = TinyTokenBackbone(image_size)

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.backbone

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        """One of each image."""
        return (MaskRequest(),)

    @property
    def mask_grid(self) -> tuple[int, int]:
        """The backbone's."""
        return self.backbone.grid

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Raises RuntimeError."""
        raise RuntimeError("a method that takes no training step has no loss")

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """Float ``[B, 3, S, S]``."""
        side = self.backbone.patch_size
        masked = mask.view(-1, 1, *self.mask_grid).repeat_interleave(side, 2).repeat_interleave(side, 3)
        mean = (images * ~masked).sum(dim=(2, 3), keepdim=True) / (~masked).sum(dim=(2, 3), keepdim=True)
        return torch.where(masked, mean, images)


@dataclass
class TinyDataset:
    """Two classes of noisy 8 px images, one bright above, one bright below. The bright half is the ``mask``; the
    ``depth`` is greatest below; the factors are ``half`` (the class) and ``light`` (the mean brightness)."""

    train_images: int = 64
    test_images: int = 32
    image_size: int = 8
    classes: Sequence[str] = ("above", "below")
    mean: tuple[float, float, float] = (0.4, 0.4, 0.4)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    def split(self, name: Literal["train", "test"]) -> Split:
        """``labels`` alternate; images uint8 ``[N, 3, image_size, image_size]``, the same at every call."""
        count = self.train_images if name == "train" else self.test_images
        generator = torch.Generator().manual_seed(1 if name == "train" else 2)
        labels = torch.arange(count) % 2
        images = torch.randint(0, 120, (count, 3, self.image_size, self.image_size), generator=generator)
        half = self.image_size // 2
        images[labels == 0, :, :half] += 100
        images[labels == 1, :, half:] += 100
        images = images.to(torch.uint8)
        mask = torch.zeros(count, self.image_size, self.image_size, dtype=torch.uint8)
        mask[labels == 0, :half], mask[labels == 1, half:] = 1, 1
        depth = torch.linspace(0, 1, self.image_size)[:, None].expand(count, -1, self.image_size).contiguous()
        factors = {"half": labels, "light": images.float().mean(dim=(1, 2, 3)) / 255}
        return Split(images, labels, factors, maps={"mask": mask, "depth": depth})


def blobs(classes: int = 3, per_class: int = 30, dim: int = 8, seed: int = 0, noise: float = 0.3) -> EvaluationData:
    """Features that a good evaluator tells apart: for each class a Gaussian blob around a unit vector."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.eye(max(dim, classes))[:classes, :dim]

    def part() -> FeatureSet:
        labels = torch.arange(classes).repeat_interleave(per_class)
        features = centres[labels] + noise * torch.randn(len(labels), dim, generator=generator)
        return FeatureSet(features, labels)

    return EvaluationData(part(), part(), classes, seed)


@dataclass(frozen=True)
class ShownNoise:
    """Images for pictures of any features: noise of 8 px, the same for the same row of a split."""

    class_names: Sequence[str] = ("apple", "pear", "plum")

    def pixels(self, split: SplitName, indices: Tensor) -> Tensor:
        """uint8 ``[B, 3, 8, 8]``."""
        first = 0 if split == "train" else 1 << 20
        generators = [torch.Generator().manual_seed(first + row) for row in indices.tolist()]
        images = [torch.randint(0, 256, (3, 8, 8), generator=one, dtype=torch.uint8) for one in generators]
        return torch.stack(images) if images else torch.empty(0, 3, 8, 8, dtype=torch.uint8)


def evaluated_scenes(method: Method | None = None, seed: int = 0, image_size: int = 16) -> EvaluationData:
    """Features, model and images, as an evaluator whose spec says ``uses_model`` gets them: a ``TinyDataset`` and,
    unless another is given, an untrained ``TinyReconstructor``."""

    def make(seed: int) -> Method:
        torch.manual_seed(seed)
        return TinyReconstructor(image_size)

    data = make_splits(TinyDataset(image_size=image_size), evaluate_on="test", train_images=None, image_size=None)
    device = torch.device("cpu")
    model = TrainedModel(method or make(seed), make, data, device, mask_ratio=0.75)
    features = extract_all(model.method.encoder, data, device, "fp32")
    return EvaluationData(features.train, features.test, data.classes, seed, model, SplitImages(lambda: data))
