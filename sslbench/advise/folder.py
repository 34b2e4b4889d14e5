"""A folder of the user's own images: which data set it is, and at what size it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sslbench.advise.frozen import Model, Settings
from sslbench.errors import UserError
from sslbench.plan.reference import Reference, parse_reference

LABELLED, UNLABELLED = "imagefolder", "images"
"""data sets"""
SIZE = 64
"""pixels, for models that do not say what they want"""


def dataset_reference(text: str, size: Callable[[], int]) -> Reference:
    """``NAME:key=value,...``, or a folder: ``imagefolder`` where it has folders in it, else ``images``, read at
    ``size()``."""
    folder = Path(text).expanduser()
    if not folder.exists() and "/" not in text.partition(":")[0]:
        return parse_reference(text)
    labelled = has_folders(folder)
    return folder_reference(folder, size(), labelled=labelled)


def folder_reference(folder: Path, size: int, *, labelled: bool, **given: Any) -> Reference:
    """Of images in a folder, those that cannot be read left out."""
    params: Mapping[str, Any] = {"root": str(folder), "size": size, "on_error": "skip", **given}
    return Reference(LABELLED if labelled else UNLABELLED, params)


def has_folders(folder: Path) -> bool:
    """Whether there are folders in it that are not hidden. Raises UserError for what is no folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    try:
        return any(item.is_dir() and not item.name.startswith((".", "__MACOSX")) for item in folder.iterdir())
    except OSError as error:
        raise UserError(f"folder {folder} cannot be read: {error.strerror}") from None


def reading_size(model: Model, settings: Settings) -> int:
    """Side at which images are read so that none is enlarged on the way to the model: before its crop."""
    wanted = model.built(SIZE, settings).input_spec
    return SIZE if wanted is None else math.ceil(wanted.size / wanted.crop)
