"""Pictures of a data set: some of its images, its odd files, and how many images each class has."""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench.contracts.evaluator import Picture
from sslbench.draw.canvas import Canvas
from sslbench.draw.colours import PALE_INK, colour_of
from sslbench.draw.tiles import Tile, grid
from sslbench.draw.words import SIZE, drawable_names, shortened_to, width_of, with_names
from sslbench.look.data import ClassCount
from sslbench.look.files import FileFacts, OddFile
from sslbench.report.screen import one_line
from sslbench.report.text import plural
from sslbench.train.data import Splits
from sslbench.train.shown_images import shown_images

OVERVIEW, COLUMNS = 24, 8
"""images that are shown, and how many in a row"""
ODD, OF_A_KIND = 12, 2
"""odd files that are shown, and how many of each kind at most"""
THUMBNAIL = 120
"""pixels of an odd file's longer side"""
LETTERS = 18
"""that a line below such a file has"""
CLASSES = 40
"""classes that the chart shows; of more, the largest and the smallest"""
BAR, LINE, MARGIN = 420, SIZE + 6, 8
"""pixels of the longest bar, of a line, and between things"""
TRAIN, TEST = colour_of(0), colour_of(1)
Bar = tuple[str, ClassCount]
"""a word that can be drawn, and what it counts"""


def images_picture(data: Splits, seed: int) -> Picture:
    """Some training images, spread over the classes, each above the name of its class."""
    images = shown_images(data.pretraining, data.class_names, OVERVIEW, seed)
    tiles = [Tile(image, word) for image, word in zip(images.pixels, images.words, strict=True)]
    shown, every = len(set(images.labels)), number_of_classes(data.classes)
    classes = f", of {every if shown == data.classes else f'{shown} of {every}'}" if images.labels else ""
    size = " x ".join(str(side) for side in images.pixels.shape[-2:])
    some = f"{len(tiles)} of {plural(len(data.pretraining), 'training image')}"
    return Picture("images", grid(tiles, COLUMNS), images.captioned(f"{some} as they are read, {size} px{classes}."))


def odd_picture(data: Splits, facts: FileFacts) -> Picture | None:
    """Odd files, each beside what is read of it; None where there is none."""
    tiles = []
    for file, kind in rarest(facts.odd):
        thumbnail = thumbnail_of(file.path)
        if thumbnail is None:
            continue
        split = data.train if file.split == "train" else data.test
        read = split.images[torch.tensor([file.index])][0].cpu()
        words = textwrap.fill(kind.partition(",")[0], LETTERS)
        more = f"\nand {len(file.kinds) - 1} more" if len(file.kinds) > 1 else ""
        tiles += [Tile(thumbnail, os.path.basename(file.path)), Tile(read, words + more)]
    if not tiles:
        return None
    caption = (
        f"{len(tiles) // 2} of {plural(len(facts.odd), 'odd file')}, each beside the image that is read of it; below"
        " the file its name, below the image what is odd about it."
    )
    return Picture("odd-files", grid(tiles, 6, THUMBNAIL), caption)


def rarest(files: Sequence[OddFile]) -> list[tuple[OddFile, str]]:
    """At most ``OF_A_KIND`` files for each kind, and the kind, those of the rarest kind first; each file once."""
    kinds: dict[str, list[OddFile]] = {}
    for file in files:
        for kind in file.kinds:
            kinds.setdefault(kind, []).append(file)
    chosen: dict[OddFile, str] = {}
    for kind, members in sorted(kinds.items(), key=lambda item: len(item[1])):
        chosen |= {file: kind for file in members[:OF_A_KIND] if file not in chosen}
    return list(islice(chosen.items(), ODD))


def thumbnail_of(path: str) -> Tensor | None:
    """uint8 ``[3, h, w]`` of the whole file as it is meant to be seen; None where Pillow makes none."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
                upright = on_white(ImageOps.exif_transpose(image))
                upright.thumbnail((THUMBNAIL, THUMBNAIL))
                return torch.from_numpy(np.array(upright)).permute(2, 0, 1)
    except Exception:  # a file that changed since it was read
        return None


def on_white(image: Any) -> Any:
    """A Pillow image of any mode as RGB: deep grey from black to its brightest value, transparency on white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0).clip(0)
        return Image.fromarray((values * (255 / (values.max() or 1))).astype(np.uint8)).convert("RGB")
    whole = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, (255, 255, 255, 255)), whole).convert("RGB")


def classes_picture(classes: Sequence[ClassCount]) -> Picture:
    """How many images each class has, to train on and to evaluate on."""
    words = drawable_names([count.name for count in classes], len(classes))
    bars = list(zip(words, classes, strict=True))
    shown, gap = (bars, len(bars)) if len(bars) <= CLASSES else largest_and_smallest(bars)
    shown_words = {word for word, _ in shown}
    names = [count.name for count in classes]
    caption = with_names(caption_of(classes), names, [n for n, word in enumerate(words) if word in shown_words])
    left = min(220, max(width_of(word) for word, _ in shown)) + 2 * MARGIN
    most = max(count.train + count.test for _, count in shown) or 1
    canvas = Canvas(left + BAR + 130, LINE * (len(shown) + 1 + (gap < len(shown))) + 2 * MARGIN)
    top = MARGIN
    for place, (word, count) in enumerate(shown):
        if place == gap:
            canvas.text(f"... {len(bars) - len(shown):,} other classes ...", left, top, colour=PALE_INK)
            top += LINE
        canvas.text(shortened_to(word, left - 2 * MARGIN), left - MARGIN, top, "ra")
        ends = [left, left + BAR * count.train / most, left + BAR * (count.train + count.test) / most]
        for colour, start, end in zip((TRAIN, TEST), ends[:-1], ends[1:], strict=True):
            if end > start:
                canvas.pen.rectangle((start, top + 2, max(start, end - 1), top + SIZE), fill=colour)
        canvas.text(f"{count.train:,} + {count.test:,}", ends[-1] + MARGIN, top)
        top += LINE
    canvas.text("blue: to train on; orange: to evaluate on", left, top, colour=PALE_INK)
    return Picture("classes", canvas.tensor(), caption)


def largest_and_smallest(bars: Sequence[Bar]) -> tuple[list[Bar], int]:
    """Half of what is shown from each end, and where the others are left out."""
    ordered = sorted(bars, key=lambda bar: -(bar[1].train + bar[1].test))
    return [*ordered[: CLASSES // 2], *ordered[-CLASSES // 2 :]], CLASSES // 2


def caption_of(classes: Sequence[ClassCount]) -> str:
    """The sentence below the chart."""
    sizes = sorted((count.train + count.test, count.name) for count in classes)
    (fewest, smallest), (most, largest) = sizes[0], sizes[-1]
    half = CLASSES // 2
    shown = f"; the {half} largest and the {half} smallest are shown" if len(classes) > CLASSES else ""
    if fewest == most:
        return f"Images of {number_of_classes(len(classes))}: {plural(most, 'image')} each{shown}."
    return (
        f"Images of {number_of_classes(len(classes))}: from {plural(fewest, 'image')} ({one_line(smallest)}) to"
        f" {plural(most, 'image')} ({one_line(largest)}){shown}."
    )


def number_of_classes(count: int) -> str:
    """``1 class``, ``1,200 classes``."""
    return f"{count:,} class{'es' if count != 1 else ''}"
