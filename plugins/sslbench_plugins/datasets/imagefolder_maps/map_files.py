"""Maps that lie in files beside images: classes of pixels, and depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from sslbench import ImageReader, UserError
from sslbench_plugins.blocks.images_on_disk.decode import formats, reason
from sslbench_plugins.blocks.images_on_disk.folders import list_error, walk

MapValues = NDArray[np.uint8] | NDArray[np.float32]
SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
"""of files that keep values as they are"""
UNKNOWN = 255
HIGHEST = 254
CHECKED = 16
"""masks whose values are checked before a run begins"""
ORIENTATION, SIDEWAYS = 274, (5, 6, 7, 8)
"""EXIF tag, and its values for images that lie on their side"""


@dataclass(frozen=True)
class MapFiles:
    """Maps by index, read each time, in the view that images have: centre-cropped to a square, resized."""

    paths: Sequence[Path]
    values: Callable[[Image.Image], MapValues]
    """an opened file -> ``[H, W]``, uint8 or float32; raises ValueError for what it must not hold"""
    size: int
    """side after reading, pixels"""
    where: str
    """names the data set in messages"""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> ``[B, S, S]``, each pixel the nearest one of its file. Raises UserError naming a file that
        cannot be read or holds what it must not."""
        maps = [self._read(self.paths[index]) for index in indices.tolist()]
        return torch.from_numpy(np.stack(maps)) if maps else torch.empty(0, self.size, self.size)

    def _read(self, path: Path) -> MapValues:
        try:
            with Image.open(path, formats=formats()) as image:
                values = self.values(image)
        except Exception as error:
            raise UserError(f"{self.where}: {path}: {reason(error)}") from None
        square = ImageOps.fit(Image.fromarray(values), (self.size, self.size), method=Image.Resampling.NEAREST)
        return np.asarray(square)


def check_values(masks: ImageReader, where: str) -> None:
    """Raises UserError where black and white were meant: 255 would then be unknown."""
    values = set(torch.unique(masks[torch.arange(min(CHECKED, len(masks)))]).tolist())
    if values == {0, UNKNOWN}:
        raise UserError(
            f"{where}: masks hold 0 and {UNKNOWN} alone, and unknown={UNKNOWN} says that the class of the second is"
            " unknown; unknown=-1 makes it a class"
        )


def class_values(image: Image.Image, unknown: int) -> NDArray[np.uint8]:
    """uint8 ``[H, W]``: numbers of classes as the file has them (of a palette its indices, not its colours), 255 where
    they are ``unknown`` (-1: nowhere; 255 is then a class like any other and becomes 254)."""
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        raise ValueError(f"its pixels are {image.mode}; a mask has one channel, the number of a class: 1, L, P or I;16")
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > UNKNOWN:
        raise ValueError(f"its values are {values.min()}..{values.max()}; classes are 0..{HIGHEST}, and {UNKNOWN}")
    if unknown == UNKNOWN:
        return values.astype(np.uint8)
    if bool((values == UNKNOWN).any()) and bool((values == HIGHEST).any()):
        raise ValueError(f"it holds {HIGHEST} and {UNKNOWN}, and unknown={unknown} leaves no number for the second")
    moved = np.where(values == UNKNOWN, HIGHEST, values)
    return np.where(values == unknown, UNKNOWN, moved).astype(np.uint8)


def depth_values(image: Image.Image) -> NDArray[np.float32]:
    """float32 ``[H, W]`` in 0..1: 8 and 16 bits by their largest value, 0 of them not measured, which is NaN; floats as
    they are."""
    values = np.asarray(image)
    if image.mode == "F":
        known = values[np.isfinite(values)]
        if known.size and not (known.min() >= 0 and known.max() <= 1):
            raise ValueError(f"its depths are {known.min():g}..{known.max():g}; 0..1 and NaN are understood")
        return values.astype(np.float32)
    if image.mode not in ("L", "I", "I;16"):
        raise ValueError(f"its pixels are {image.mode}; a depth map has one channel: L, I;16 or F")
    white = 255 if image.mode == "L" else 65535
    if values.min() < 0 or values.max() > white:
        raise ValueError(f"its values are {values.min()}..{values.max()}; 0..{white} are understood")
    return np.where(values == 0, np.nan, values / white).astype(np.float32)


def beside(images: Sequence[Path], folder: Path, maps: Path, where: str) -> list[Path]:
    """The map of each image: the file of its name, but for the ending, in the same folder below ``maps``. Raises
    UserError for images without one or with two. Maps without an image are left alone."""
    files: dict[Path, list[Path]] = {}
    for path in walk(maps):
        if path.suffix.lower() in SUFFIXES:
            files.setdefault(path.relative_to(maps).with_suffix(""), []).append(path)
    names = [path.relative_to(folder).with_suffix("") for path in images]
    lost = [maps / name for name in names if name not in files]
    if lost:
        problem = f"{len(lost)} of {len(images)} images have no map in {maps} (endings: {' '.join(SUFFIXES)})"
        raise list_error(where, problem, [f"missing: {path}.*" for path in lost])
    twice = next((files[name] for name in names if len(files[name]) > 1), None)
    if twice:
        raise UserError(f"{where}: {twice[0]} and {twice[1].name} are maps of one image; keep one")
    return [files[name][0] for name in names]


def check_sizes(images: Sequence[Path], maps: Sequence[Path], where: str) -> None:
    """Raises UserError for maps that cannot be opened or are not of their images' size; only headers are read."""
    wrong = []
    for image, path in zip(images, maps, strict=True):
        try:
            size = upright_size(path)
        except Exception as error:
            wrong.append(f"{path}: {reason(error)}")
            continue
        wanted = upright_size(image)
        if size != wanted:
            wrong.append(f"{path} is {size[0]} x {size[1]} pixels, its image {wanted[0]} x {wanted[1]}")
    if wrong:
        problem = f"{len(wrong)} of {len(maps)} maps do not fit their images; each must have its image's size"
        raise list_error(where, problem, wrong)


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height, as the camera was held."""
    with Image.open(path, formats=formats()) as image:
        width, height = image.size
        sideways = "exif" in image.info and image.getexif().get(ORIENTATION) in SIDEWAYS
    return (height, width) if sideways else (width, height)
