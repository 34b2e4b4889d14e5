"""An encoder that was trained here, ready for new images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sslbench.advise.folder import scale_params, unknown_scale
from sslbench.contracts.defaults import UNLABELLED_IMAGES
from sslbench.contracts.method import InputSpec
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError, quoted
from sslbench.hooks.registry import default_registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.train.feed import read_batches
from sslbench.train.views import EvaluationView

if TYPE_CHECKING:
    from PIL.Image import Image

SKIP = "; on_error=skip leaves them out"
EXPECTED = "expected uint8 [N, 3, H, W] or [3, H, W], a PIL image, a path, or a list of images or paths"


class Encoder(nn.Module):
    """Normalised float ``[B, 3, S, S]`` -> features ``[B, D]``, in eval mode. ``preprocess`` makes its input of images,
    ``embed`` does both."""

    def __init__(self, network: nn.Module, input_spec: InputSpec, read_size: int, white: Mapping[str, float] | None):
        """``read_size``: side at which files are read, pixels; ``white``: value of deep grey that became 255."""
        super().__init__()
        self.network, self.input_spec, self.read_size, self.white = network, input_spec, read_size, white
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float ``[B, 3, S, S]`` -> ``[B, D]``."""
        features: Tensor = self.network(images)
        return features

    def preprocess(self, images: Any) -> Tensor:
        """Normalised float ``[B, 3, S, S]`` of uint8 ``[B, 3, H, W]``, a PIL image, the path of a file, or a list of
        such, of which each is a row. Files are read as those that it was trained on. Raises UserError."""
        pixels = self._pixels(images)
        return EvaluationView(self.input_spec, pixels.device)(pixels)

    @torch.inference_mode()
    def embed(self, images: Any, batch: int = 256) -> Tensor:
        """float32 ``[N, D]`` on the CPU, the features of images as ``preprocess`` takes them, in their order, on the
        device that the encoder is on."""
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise UserError(f"batch = {quoted(batch)}: expected images at a time, 1 or more")
        pixels, device = self._pixels(images), next((p.device for p in self.parameters()), torch.device("cpu"))
        view = EvaluationView(self.input_spec, device)
        parts = [self(view(part.to(device))).float().cpu() for part in torch.split(pixels, batch)]
        return torch.cat(parts)

    def _pixels(self, images: Any) -> Tensor:
        """uint8 ``[B, 3, H, W]``."""
        if isinstance(images, Tensor):
            pixels = images if images.ndim == 4 else images[None]
            if pixels.ndim == 4 and pixels.shape[1] == 3 and pixels.dtype == torch.uint8:
                return pixels
            raise UserError(f"images: {images.dtype} {list(images.shape)}; {EXPECTED}")
        if isinstance(images, (str, os.PathLike)):
            return self._read([os.fspath(images)])
        if hasattr(images, "convert"):
            return self._fitted(images)
        if not isinstance(images, Sequence) or not images:
            raise UserError(f"images: {quoted(images)}; {EXPECTED}")
        if all(isinstance(image, (str, os.PathLike)) for image in images):
            return self._read([os.fspath(image) for image in images])
        parts = [self._pixels(image) for image in images]
        sizes = {tuple(part.shape[-2:]) for part in parts}
        if len(sizes) > 1:
            raise UserError(f"images: of {len(sizes)} sizes; tensors of one list have one size")
        return torch.cat(parts)

    def _read(self, paths: list[str]) -> Tensor:
        """Of files, as the images of its training were read."""
        if folders := [path for path in paths if os.path.isdir(path)]:
            raise UserError(f"images: {folders[0]} is a folder; give its files, as sorted(Path(FOLDER).glob('*.jpg'))")
        params = {"files": paths, "size": self.read_size, "test_share": 0.0, **scale_params(self.white)}
        choice = chosen("dataset", Reference(UNLABELLED_IMAGES, params, "images"), default_registry())
        try:
            split = choice.build(BuildContext()).split("train")
        except UserError as error:  # of a data set, which may leave images out
            raise UserError(*(line.replace(SKIP, "") for line in error.messages)) from None
        for note in unknown_scale(split.white, self.white, "its training met no such image, so not how"):
            warnings.warn(note, stacklevel=4)
        (pixels,) = read_batches(split.images, [torch.arange(len(split))])
        return pixels

    def _fitted(self, image: Image) -> Tensor:
        """Of an image in memory: shorter side to the size of reading, centre crop, as files are."""
        from PIL import Image, ImageOps

        upright, side = ImageOps.exif_transpose(image).convert("RGB"), (self.read_size, self.read_size)
        fitted = upright if upright.size == side else ImageOps.fit(upright, side, Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None]
