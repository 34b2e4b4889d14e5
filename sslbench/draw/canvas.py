"""Something to draw on, and how it becomes a tensor and a PNG file."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench.draw.colours import GROUND, INK, PAPER, Colour
from sslbench.draw.words import SIZE, drawable, font


class Canvas:
    """A white picture of so many pixels."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.picture = Image.new("RGB", (width, height), PAPER)
        self.pen: Any = ImageDraw.Draw(self.picture)

    def image(self, image: Tensor, x: int, y: int, side: int) -> None:
        """Put uint8 ``[3, h, w]`` or ``[1, h, w]`` into the square of ``side`` pixels whose corner is at x, y."""
        placed = fitted(image, side)
        if placed.size != (side, side):
            self.pen.rectangle((x, y, x + side - 1, y + side - 1), fill=GROUND)
        self.picture.paste(placed, (x + (side - placed.width) // 2, y + (side - placed.height) // 2))

    def text(self, text: str, x: float, y: float, anchor: str = "la", size: int = SIZE, colour: Colour = INK) -> None:
        """Write in letters that the font has; ``anchor`` is Pillow's, such as ``la`` for left and top, ``mm``."""
        self.pen.text((x, y), drawable(text), fill=colour, font=font(size), anchor=anchor)

    def frame(self, x: int, y: int, side: int, colour: Colour, width: int = 4) -> None:
        """A frame just inside a square."""
        self.pen.rectangle((x, y, x + side - 1, y + side - 1), outline=colour, width=width)

    def tensor(self) -> Tensor:
        """uint8 ``[3, H, W]``."""
        return torch.from_numpy(np.array(self.picture)).permute(2, 0, 1).contiguous()


def fitted(image: Tensor, side: int) -> Any:
    """A Pillow image that fills the width or the height of a square: small ones by whole pixels, larger ones smoothly
    made smaller."""
    from PIL import Image

    pixels = image.detach().cpu()
    pixels = pixels.expand(3, -1, -1) if pixels.shape[0] == 1 else pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return picture if size == picture.size else picture.resize(size, way)


def tile_side(image_side: int, wanted: int = 80) -> int:
    """Side of a tile for images of this side, pixels: a whole multiple of a small one, near ``wanted``; a large one is
    made a little larger than that."""
    if image_side > wanted * 1.25:
        return int(wanted * 1.2)
    return image_side * max(1, int(wanted / image_side + 0.5))


def small_images(images: Tensor, side: int) -> Tensor:
    """uint8 ``[N, 3, H, W]`` -> ``[N, 3, t, t]``, t the smaller of ``side`` and the images' own; what is no square is
    in the middle of one."""
    t = min(side, max(images.shape[-2:]))
    small = torch.full((len(images), 3, t, t), GROUND[0], dtype=torch.uint8)
    for number, image in enumerate(images):
        pixels = torch.from_numpy(np.array(fitted(image, t))).permute(2, 0, 1)
        top, left = (t - pixels.shape[1]) // 2, (t - pixels.shape[2]) // 2
        small[number, :, top : top + pixels.shape[1], left : left + pixels.shape[2]] = pixels
    return small


def png_of(image: Tensor) -> bytes:
    """uint8 ``[3, H, W]`` as a PNG file; the same bytes for the same image."""
    from PIL import Image

    buffer = BytesIO()
    pixels = np.ascontiguousarray(image.detach().cpu().permute(1, 2, 0).numpy())
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
