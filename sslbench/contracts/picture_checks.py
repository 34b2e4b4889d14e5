"""What pictures an evaluator may yield: what can be stored beside its metrics and shown to everybody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sslbench.contracts.evaluator import Picture, PicturePoints
from sslbench.errors import quoted

if TYPE_CHECKING:
    from torch import Tensor

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_NAME = 60  # characters
LONGEST_CAPTION = 1000
LARGEST = 2048  # pixels a side
MOST_PICTURES = 50
MOST_POINTS = 2000
LARGEST_THUMBNAIL = 32  # pixels a side
ALLOWED_NAME = f"allowed: lower-case letters, digits and hyphens between them, at most {LONGEST_NAME} characters"


def picture_mistakes(pictures: Sequence[Picture]) -> list[str]:
    """One line for each picture that cannot be kept, each name that comes twice, and too many."""
    mistakes = [f"picture {quoted(p.name)}: {line}" for p in pictures for line in mistakes_of(p)]
    counts = Counter(picture.name for picture in pictures if isinstance(picture.name, str))
    for name, count in counts.items():
        if count > 1:
            mistakes.append(f"picture {quoted(name)} is given {count} times; each picture has a name of its own")
    if len(pictures) > MOST_PICTURES:
        mistakes.append(f"{len(pictures)} pictures; allowed: at most {MOST_PICTURES}")
    return mistakes


def mistakes_of(picture: Picture) -> Iterator[str]:
    """One line for each field that cannot be kept."""
    name, caption = picture.name, picture.caption
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        yield f"its name; {ALLOWED_NAME}"
    if (shape := shape_of(picture.image, "torch.uint8")) is None or len(shape) != 3 or shape[0] != 3:
        yield f"image: {what(picture.image)}; allowed: uint8 [3, H, W]"
    elif not 1 <= min(shape) <= max(shape) <= LARGEST:
        yield f"image: {shape[1]} x {shape[2]} pixels; allowed: 1 to {LARGEST} a side"
    if not isinstance(caption, str) or not caption.strip() or not caption.isprintable():
        yield f"caption = {quoted(caption)}; allowed: a sentence on one line"
    elif len(caption) > LONGEST_CAPTION:
        yield f"caption: {len(caption):,} characters; allowed: at most {LONGEST_CAPTION:,}"
    if isinstance(picture.points, PicturePoints):
        yield from mistakes_of_points(picture.points)
    elif picture.points is not None:
        yield f"points = {quoted(picture.points)}; allowed: PicturePoints(xy, labels, thumbnails), or None"


def mistakes_of_points(points: PicturePoints) -> Iterator[str]:
    """One line for each field of a map's points that cannot be kept."""
    shape = shape_of(points.xy, "torch.float32")
    if shape is None or len(shape) != 2 or shape[1] != 2 or shape[0] > MOST_POINTS:
        yield f"points.xy: {what(points.xy)}; allowed: float32 [N, 2], N at most {MOST_POINTS:,}"
        return
    count = shape[0]
    if not bool((abs(points.xy) < float("inf")).all()):  # NaN is below nothing
        yield "points.xy: a coordinate is NaN or infinite; allowed: finite numbers"
    labels, thumbnails = points.labels, shape_of(points.thumbnails, "torch.uint8")
    if isinstance(labels, str) or not isinstance(labels, Sequence) or not all(isinstance(word, str) for word in labels):
        yield f"points.labels = {quoted(labels)}; allowed: a text for each point"
    elif len(labels) != count:
        yield f"points.labels: {len(labels)}; allowed: one for each of {count} points"
    side = thumbnails[-1] if thumbnails else 0
    if thumbnails != [count, 3, side, side] or not 1 <= side <= LARGEST_THUMBNAIL:
        allowed = f"allowed: uint8 [{count}, 3, t, t], t from 1 to {LARGEST_THUMBNAIL}"
        yield f"points.thumbnails: {what(points.thumbnails)}; {allowed}"


def shape_of(tensor: Tensor, dtype: str) -> list[int] | None:
    """Of a tensor of this dtype; None for anything else."""
    right = str(getattr(tensor, "dtype", "")) == dtype and hasattr(tensor, "detach")
    return list(tensor.shape) if right else None


def what(value: Any) -> str:
    """A tensor's dtype and shape; the type of anything else."""
    if not hasattr(value, "detach"):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
