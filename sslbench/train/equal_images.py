"""Images of one split that equal an image of another: what makes an accuracy too good to be true."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from torch import Tensor

from sslbench.contracts.dataset import Split


def equal_images(trained_on: Sequence[Split], test: Split) -> tuple[int | None, str | None]:
    """How many images of ``test`` equal one of ``trained_on``, by the digests that the splits have, else by the pixels
    of those in memory; or None, and why they are not compared."""
    splits = [*trained_on, test]
    if all(len(split.digests) == len(split) for split in splits):
        found = [list(split.digests) for split in splits]
    elif all(isinstance(split.images, Tensor) for split in splits):
        found = [pixel_digests(split.images) for split in splits if isinstance(split.images, Tensor)]
    else:
        return None, "the images are read on demand, and the data set gives no digests of them"
    *others, own = found
    known = {digest for other in others for digest in other}
    return sum(digest in known for digest in own), None


def repeated(split: Split) -> int | None:
    """How many images equal an earlier one of their split, by digest; None where there are no digests."""
    digests = split.digests
    return len(digests) - len(set(digests)) if len(digests) == len(split) else None


def contradictory(splits: Sequence[Split]) -> int | None:
    """How many images have an equal one, by digest, of another label; None where digests or labels are missing."""
    labels: dict[bytes, list[int]] = {}
    for split in splits:
        if split.labels is None or len(split.digests) != len(split):
            return None
        for digest, label in zip(split.digests, split.labels.tolist(), strict=True):
            labels.setdefault(digest, []).append(label)
    return sum(len(found) for found in labels.values() if len(set(found)) > 1)


def pixel_digests(images: Tensor) -> list[bytes]:
    """Of each image of ``[N, ...]``; equal for equal pixels."""
    return [blake2b(image.tobytes(), digest_size=16).digest() for image in images.cpu().numpy()]
