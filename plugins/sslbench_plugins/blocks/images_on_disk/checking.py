"""What decoding every image once shows, kept in the cache. Where nothing but that is kept, it is kept part by part: a
check of many images that is interrupted goes on at the part that it was at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.cache_files import read_facts, write
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded, Found
from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums

PART = 8192
"""images"""


def cached_facts(path: Path, digest: str, encoded: Encoded, with_images: bool) -> Mapping[str, Any]:
    """From the cache; where it has none, every image is decoded, by one process at a time. ``bad``: index of an image
    that cannot be read -> its name and why; of the others ``side``, ``sums``, ``digests``, ``sides`` before resizing
    ``more_frames``, ``whites`` of deep grey, and ``for_cpu``: why a GPU does not decode them -> images."""
    facts = read_facts(path, digest)
    if facts is not None:
        return facts
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        facts = read_facts(path, digest)
        if facts is not None:
            return facts
        if with_images or len(encoded) <= PART:
            return decoded(path, digest, encoded, with_images)
        return decoded_in_parts(path, digest, encoded)


def decoded(path: Path, digest: str, encoded: Encoded, with_images: bool) -> dict[str, Any]:
    """Every image, once, into a file: what is known of them, and with it the images if they are wanted."""
    found = Found()
    sums = torch.zeros(3, 3, dtype=torch.int64)

    def parts() -> Iterator[bytes]:
        for chunk in encoded.chunks(found):
            sums.add_(channel_sums(chunk))
            if with_images:
                yield chunk.numpy().tobytes()

    def shown() -> dict[str, Any]:
        numbers = {"side": encoded.side, "sums": sums.tolist(), "sides": found.sides, "whites": encoded.grey.whites}
        numbers |= {"more_frames": found.more_frames, "for_cpu": dict(found.for_cpu)}
        return {"bad": found.bad, "digests": b"".join(found.digests).hex(), **numbers}

    return write(path, digest, parts(), shown)


def decoded_in_parts(path: Path, digest: str, encoded: Encoded) -> dict[str, Any]:
    """The same, one file after another, which are removed when the whole is kept. Raises UserError where the images of
    two parts are of different sizes."""
    from filelock import FileLock

    parts: list[dict[str, Any]] = []
    files: list[Path] = []
    for start in range(0, len(encoded), PART):
        file, key = path.with_name(f"{path.name}.{start}"), f"{digest} {start}"
        some = encoded.only(range(start, min(start + PART, len(encoded))))
        with FileLock(f"{file}.lock"):  # says that its writer is alive
            facts = read_facts(file, key) or decoded(file, key, some, with_images=False)
        encoded.grey.whites = {**encoded.grey.whites, **facts["whites"]}
        parts.append({**facts, "bad": {start + int(index): why for index, why in facts["bad"].items()}})
        files.append(file)
    whole = joined(parts, encoded)
    written = write(path, digest, (), lambda: whole)
    for file in files:
        file.unlink(missing_ok=True)
        Path(f"{file}.lock").unlink(missing_ok=True)
    return written


def joined(parts: Sequence[Mapping[str, Any]], encoded: Encoded) -> dict[str, Any]:
    """What is known of all parts together."""
    with_images = [part for part in parts if part["digests"]]
    sizes = sorted({part["side"] for part in with_images})
    if len(sizes) > 1:
        shown = ", ".join(f"{side} x {side}" for side in sizes[:4])
        raise UserError(f"{encoded.where}: images are {shown} pixels; size=N makes them N x N")
    sides = [part["sides"] for part in with_images]
    for_cpu = sum((Counter(part["for_cpu"]) for part in parts), Counter[str]())
    return {
        "bad": {index: why for part in parts for index, why in part["bad"].items()},
        "digests": "".join(part["digests"] for part in parts),
        "side": sizes[0] if sizes else encoded.side,
        "sums": torch.tensor([part["sums"] for part in parts]).sum(0).tolist(),
        "sides": (min(low for low, _ in sides), max(high for _, high in sides)) if sides else None,
        "whites": encoded.grey.whites,
        "more_frames": sum(part["more_frames"] for part in parts),
        "for_cpu": dict(for_cpu),
    }
