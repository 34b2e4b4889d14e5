"""What evaluators are given beyond features: the trained model, its images, and the same network untrained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sslbench.contracts.dataset import Split, SplitName
from sslbench.contracts.method import Method
from sslbench.measure.precision import computing
from sslbench.train.data import Splits
from sslbench.train.views import EvaluationView


class TrainedModel:
    """An ``EvaluatedModel``: a method as trained, on the device, in eval mode."""

    def __init__(
        self,
        method: Method,
        make: Callable[[int], Method],
        data: Splits,
        device: torch.device,
        precision: str = "fp32",
        mask_ratio: float | None = None,
    ) -> None:
        """``make`` returns the method as a seed initialises it."""
        self.method = method.to(device).eval()
        self.device, self.precision, self.mask_ratio = device, precision, mask_ratio
        self._make, self._data = make, data
        self._view = EvaluationView(method.input_spec or data.input_spec, device)

    @property
    def image_size(self) -> int:
        """Side of the images that the encoder is given, pixels."""
        return self._view.spec.size

    def encoder(self) -> nn.Module:
        """A trainable copy of the encoder."""
        return trainable(copy.deepcopy(self.method.encoder), self.method.fixed)

    def scratch(self, seed: int) -> nn.Module:
        """The same architecture as ``seed`` initialises it, trainable."""
        method = self._make(seed)
        return trainable(method.untrained().to(self.device), method.fixed)

    def pixels(self, split: SplitName, indices: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` on the device, as the data set has them; ``indices`` int64 ``[B]``."""
        return self._split(split).images[indices.cpu()].to(self.device)

    def normalise(self, images: Tensor) -> Tensor:
        """float ``[B, 3, S, S]`` in 0..1 -> what the encoder is given."""
        return self._view.normalise(images)

    def images(self, split: SplitName, indices: Tensor) -> Tensor:
        """The view for evaluation, normalised float ``[B, 3, S, S]``; ``indices`` int64 ``[B]``."""
        return self._view(self.pixels(split, indices))

    def maps(self, split: SplitName, name: str, indices: Tensor) -> Tensor:
        """``[B, S, S]`` of the data set's map ``name`` in the same view."""
        return self._view.of_maps(self._split(split).maps[name][indices.cpu()].to(self.device))

    def autocast(self) -> Any:
        """A context in which the encoder runs in the precision of the run."""
        return computing(self.device, self.precision)

    def _split(self, name: SplitName) -> Split:
        return self._data.train if name == "train" else self._data.test


def trainable(network: nn.Module, fixed: frozenset[str]) -> nn.Module:
    """In training mode, with a gradient for every parameter but those that the backbone holds ``fixed``: an EMA
    teacher had none, and what a method froze for its own training is free."""
    for name, parameter in network.train().named_parameters():
        parameter.requires_grad_(name not in fixed)
    return network
