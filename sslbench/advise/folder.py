"""A folder of the user's own images: which data set it is, and at what size it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sslbench.advise.defaults import LABELLED_IMAGES, UNLABELLED_IMAGES
from sslbench.advise.frozen import Model, Settings
from sslbench.errors import UserError
from sslbench.plan.reference import Reference, parse_reference

READ_SIZE = 64
"""pixels, for models that have no input size of their own"""


def dataset_reference(text: str, size: Callable[[], int]) -> Reference:
    """``NAME:key=value,...``, or a folder: labelled images where it has folders in it, else unlabelled ones.

    ``size`` is called for a folder alone: the side at which its images are read, pixels.
    """
    folder = Path(text).expanduser()
    if not folder.exists() and "/" not in text.partition(":")[0]:
        return parse_reference(text)
    labelled = has_folders(folder)
    return folder_reference(folder, size(), labelled=labelled)


def folder_reference(folder: Path, size: int, *, labelled: bool, **params: Any) -> Reference:
    """The data set of the images in a folder, those that cannot be read left out."""
    values: Mapping[str, Any] = {"root": str(folder), "size": size, "on_error": "skip", **params}
    return Reference(LABELLED_IMAGES if labelled else UNLABELLED_IMAGES, values)


def has_folders(folder: Path) -> bool:
    """Whether there are folders in it that are not hidden. Raises UserError for what is no folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    try:
        return any(item.is_dir() and not item.name.startswith((".", "__MACOSX")) for item in folder.iterdir())
    except OSError as error:
        raise UserError(f"folder {folder} cannot be read: {error.strerror}") from None


def reading_size(model: Model, settings: Settings) -> int:
    """Side at which images are read so that none is enlarged on the way to the model: before its crop, pixels."""
    wanted = model.build(READ_SIZE, settings).input_spec
    return READ_SIZE if wanted is None else math.ceil(wanted.size / wanted.crop)


def file_digest(path: Path) -> bytes:
    """Equal for files with the same bytes."""
    return blake2b(path.read_bytes(), digest_size=16).digest()
