"""All pictures on one sheet, one below the other, each under its sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from sslbench.contracts.evaluator import Picture
from sslbench.draw.canvas import Canvas
from sslbench.draw.words import SIZE, UNWRITTEN, drawable, width_of

MARGIN, LINE = 12, SIZE + 5
"""pixels around and between pictures, and of a line of words"""
NARROWEST = 480
"""pixels in which sentences can be read"""


def sheet(title: str, pictures: Sequence[Picture]) -> Tensor:
    """uint8 ``[3, H, W]``."""
    width = max([NARROWEST, *(picture.image.shape[-1] for picture in pictures)])
    texts = [lines_within(writable(picture.caption), width) for picture in pictures]
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


def writable(caption: str) -> str:
    """What a picture cannot write, its caption on a sheet cannot either; then where it stands."""
    text, unwritten, _ = caption.partition(UNWRITTEN)
    return (
        f"{text} Classes with numbers: named in what look prints, and in the description in this file."
        if unwritten
        else text
    )


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
    """The text broken into lines of at most ``width`` pixels: at blanks, and within words that are wider than that."""
    lines: list[str] = []
    for word in (part for whole in drawable(text).split() for part in parts_within(whole, width)):
        if lines and width_of(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def parts_within(word: str, width: int) -> Iterator[str]:
    """The word in pieces of at most ``width`` pixels."""
    while len(word) > 1 and width_of(word) > width:
        fits = next(count for count in range(len(word) - 1, 0, -1) if count == 1 or width_of(word[:count]) <= width)
        yield word[:fits]
        word = word[fits:]
    yield word
