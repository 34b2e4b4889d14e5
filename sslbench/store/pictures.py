"""Pictures of cells and of pretrainings: PNG files, and beside them one file that says what they are.

``artifacts/KEY/pictures/OWNER/`` has ``NAME.png`` of each picture and ``pictures.json`` with names, captions, points
and the digest of every PNG; ``OWNER`` is a cell, or ``pretraining``. The JSON is written last: without it
there are none.
"""

from __future__ import annotations

import shutil
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.atomic import write_atomically
from sslbench.store.digests import DamagedFile, read_json, write_json
from sslbench.store.record import Record

INDEX = "pictures.json"
OF_PRETRAINING = "pretraining"
"""stands in the place of a cell"""


@dataclass(frozen=True)
class PicturePoint:
    """One image on a map."""

    x: float
    y: float
    """upwards"""
    label: str
    png: bytes
    """the image, at most 32 pixels a side"""


@dataclass(frozen=True)
class StoredPicture:
    """A picture as it is kept."""

    name: str
    caption: str
    """one sentence: what is seen"""
    png: bytes
    points: tuple[PicturePoint, ...] = ()
    """of a map of images"""


def pictures_of(folder: Path, record: Record) -> list[StoredPicture]:
    """Of a record in the results folder: those of its cell, then those of its pretraining. Raises DamagedFile."""
    key = record.pretraining.key if record.pretraining else None
    if not key:
        return []
    files = pretraining_files(folder, key)
    return read_pictures(files.pictures(record.cell)) + read_pictures(files.pictures(OF_PRETRAINING))


def read_pictures(folder: Path) -> list[StoredPicture]:
    """The pictures of one owner, in their order; empty where there are none. Raises DamagedFile."""
    path = folder / INDEX
    try:
        rows = read_json(path)["pictures"]
        return [_stored(folder, row) for row in rows]
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path}: damaged: {error!r}") from None
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror or error}") from None


def _stored(folder: Path, row: Mapping[str, Any]) -> StoredPicture:
    points = tuple(PicturePoint(x, y, label, b64decode(png)) for x, y, label, png in row["points"])
    return StoredPicture(row["name"], row["caption"], read_png(folder / png_name(row["name"]), row["digest"]), points)


def read_png(path: Path, digest: str) -> bytes:
    """Its bytes. Raises DamagedFile for a file that is gone or is not what the digest is of."""
    try:
        png = path.read_bytes()
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror or error}") from None
    if digest_of(png) != digest:
        raise DamagedFile(f"{path}: damaged: its bytes do not match the digest in {INDEX}")
    return png


def write_pictures(files: PretrainingFiles, owner: str, pictures: Sequence[StoredPicture]) -> None:
    """Put these pictures in the place of those that ``owner``, a cell or ``OF_PRETRAINING``, had. Raises OSError."""
    folder = files.pictures(owner)
    remove_pictures(folder)
    for picture in pictures:
        write_atomically(folder / png_name(picture.name), picture.png)
    if pictures:
        write_json(folder / INDEX, {"pictures": [_row(picture) for picture in pictures]})


def _row(picture: StoredPicture) -> dict[str, Any]:
    points = [[p.x, p.y, p.label, b64encode(p.png).decode()] for p in picture.points]
    return {"name": picture.name, "caption": picture.caption, "digest": digest_of(picture.png), "points": points}


def remove_pictures(folder: Path) -> None:
    """Remove one owner's pictures; what says that they are there goes first. Raises OSError."""
    (folder / INDEX).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)


def png_name(name: str) -> str:
    """File of a picture."""
    return f"{name}.png"


def digest_of(png: bytes) -> str:
    """128 bits, in hex."""
    return blake2b(png, digest_size=16).hexdigest()
