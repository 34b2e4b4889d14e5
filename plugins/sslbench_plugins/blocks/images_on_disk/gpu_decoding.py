"""JPEG files decoded and resized on a GPU, by the nvJPEG decoder of torchvision; all others by the CPU."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.decode import formats, reason, why_not_on_gpu
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded

DEPRECATED = "(?s).*TorchCodec"
"""how the decoder's warning begins that a later torchvision will not have it"""


@dataclass(frozen=True)
class DecodedOnGpu:
    """A reader of encoded images that makes them on a GPU, if it is asked to; the pixels are not those of the CPU's
    decoder to the last bit."""

    encoded: Encoded
    refused: set[int] = field(default_factory=set)
    """images that the GPU's decoder turned out to refuse"""
    tried: set[torch.device] = field(default_factory=set)
    """GPUs that have been found to decode"""

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, S, S]``, by the CPU."""
        return self.encoded[indices]

    def read_on(self, indices: Tensor, device: torch.device) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, S, S]`` on a GPU, each image by the GPU's decoder or by the CPU's. Raises
        UserError where the device has no decoder, and for an image that cannot be read."""
        if device not in self.tried:
            check_decoder(device, self.encoded.where)
            self.tried.add(device)
        wanted = indices.tolist()
        for_gpu = {i: raw for i, raw in zip(wanted, self.encoded.each(self._raw, wanted), strict=True) if raw}
        made = self._decoded(for_gpu, device)
        others = [i for i in wanted if i not in made]
        if others:
            made |= dict(zip(others, self.encoded[torch.tensor(others)].to(device), strict=True))
        return torch.stack([made[i] for i in wanted])

    def _raw(self, index: int) -> bytes:
        """An image's bytes, empty where it is not for the GPU or cannot be read, which the CPU's decoder then says."""
        if index in self.refused:
            return b""
        try:
            source = self.encoded.sources[index]
            raw = source if isinstance(source, bytes) else source.read_bytes()
            with Image.open(io.BytesIO(raw), formats=formats()) as image:
                return b"" if why_not_on_gpu(image) else raw
        except (OSError, ValueError, SyntaxError):
            return b""

    def _decoded(self, encoded: dict[int, bytes], device: torch.device) -> dict[int, Tensor]:
        """Index -> uint8 ``[3, S, S]`` of the images that the GPU's decoder does not refuse; each of the others is
        warned of once."""
        if not encoded:
            return {}
        try:
            images = decode_jpegs([*encoded.values()], device)
        except RuntimeError as error:
            # torchvision gives no part of a list; what is not of this very type, or about memory, is no refusal.
            if type(error) is not RuntimeError or "out of memory" in str(error):
                raise
            if len(encoded) > 1:
                alone = [self._decoded({index: raw}, device) for index, raw in encoded.items()]
                return {index: image for one in alone for index, image in one.items()}
            (index,) = encoded
            self.refused.add(index)
            name = f"{self.encoded.where}: {self.encoded.names[index]}"
            warnings.warn(f"{name}: decoded by the CPU, the GPU's decoder refused it ({reason(error)})", stacklevel=2)
            return {}
        return {index: fitted(image, self.encoded.size) for index, image in zip(encoded, images, strict=True)}


def decode_jpegs(encoded: Sequence[bytes], device: torch.device) -> list[Tensor]:
    """uint8 ``[3, H, W]`` of each on a GPU. Raises RuntimeError where the decoder refuses one."""
    from torchvision.io import ImageReadMode, decode_jpeg

    # The decoder writes on a stream of its own into memory of this one, where kernels may still read what was there.
    torch.cuda.current_stream(device).synchronize()
    # Not for this call alone: filters are the process's, and this is not its main thread.
    warnings.filterwarnings("ignore", message=DEPRECATED)
    inputs = [torch.frombuffer(bytearray(raw), dtype=torch.uint8) for raw in encoded]
    images: list[Tensor] = decode_jpeg(inputs, mode=ImageReadMode.RGB, device=device)
    return images


def check_decoder(device: torch.device, where: str) -> None:
    """Raises UserError for a device that decodes no JPEG."""
    if device.type != "cuda":
        raise UserError(f"{where}: decode=gpu decodes on the GPU that trains, and this runs on {device}; leave it out")
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "jpeg")
    try:
        decode_jpegs([file.getvalue()], device)
    except (ImportError, RuntimeError) as error:
        without = f"{where}: decode=gpu needs a torchvision that decodes JPEG on {device}"
        raise UserError(f"{without} ({reason(error)}); leave it out") from None


def fitted(image: Tensor, size: int | None) -> Tensor:
    """uint8 ``[3, H, W]`` -> ``[3, size, size]``: shorter side resized (antialiased), centre crop; None: as it is."""
    height, width = image.shape[-2:]
    if size is None or (height, width) == (size, size):
        return image
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[None, :, top : top + side, left : left + side].float()
    resized = functional.interpolate(square, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].round_().clamp_(0, 255).to(torch.uint8)
