"""All pictures on one sheet, one below the other, each under its sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from sslbench.contracts.evaluator import Picture
from sslbench.draw.canvas import Canvas
from sslbench.draw.words import SIZE, drawable, width_of

MARGIN, LINE = 12, SIZE + 5
"""pixels around and between pictures, and of a line of words"""
NARROWEST = 480
"""pixels in which sentences can be read"""


def sheet(title: str, pictures: Sequence[Picture]) -> Tensor:
    """uint8 ``[3, H, W]``."""
    width = max([NARROWEST, *(picture.image.shape[-1] for picture in pictures)])
    texts = [lines_within(picture.caption, width) for picture in pictures]
    heights = [picture.image.shape[-2] + LINE * len(lines) for picture, lines in zip(pictures, texts, strict=True)]
    head = lines_within(title, width)
    canvas = Canvas(width + 2 * MARGIN, sum(heights) + LINE * len(head) + 2 * MARGIN * (len(pictures) + 1))
    top = MARGIN
    top = write(canvas, head, top) + MARGIN
    for picture, lines in zip(pictures, texts, strict=True):
        top = write(canvas, lines, top)
        paste(canvas, picture.image, top)
        top += picture.image.shape[-2] + 2 * MARGIN
    return canvas.tensor()


def write(canvas: Canvas, lines: Sequence[str], top: int) -> int:
    """The lines; returns where the next thing begins."""
    for line in lines:
        canvas.text(line, MARGIN, top)
        top += LINE
    return top


def paste(canvas: Canvas, image: Tensor, top: int) -> None:
    """uint8 ``[3, h, w]`` as it is."""
    from PIL import Image

    canvas.picture.paste(Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy())), (MARGIN, top))


def lines_within(text: str, width: int) -> list[str]:
    """The text broken at blanks into lines of at most ``width`` pixels, where its words allow it."""
    lines: list[str] = []
    for word in drawable(text).split():
        if lines and width_of(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
