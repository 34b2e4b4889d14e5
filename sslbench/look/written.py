"""The file that everything is written to: a picture or a page, which takes the place of an earlier one of its kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sslbench.errors import UserError, did_you_mean, printable
from sslbench.look.look import Look
from sslbench.store.atomic import write_atomically

MADE_BY = "sslbench look"
"""stands in every file that is written here"""
HEAD = 4096
"""bytes in which it stands"""


def check_file(out: Path) -> None:
    """Raises UserError for an ending that is none of the formats, a folder, a file that something else made, and a
    place where nothing can be written."""
    if out.suffix.lower() not in WRITERS:
        allowed = list(WRITERS)
        hint = did_you_mean(out.suffix.lower(), allowed) if out.suffix else ""
        raise UserError(f"-o {out}: the ending says the format{hint}; allowed: {', '.join(allowed)}")
    if out.is_dir():
        raise UserError(f"-o {out}: is a folder; name a file")
    try:
        with out.open("rb") as file:
            own = MADE_BY.encode() in file.read(HEAD)
    except FileNotFoundError:
        check_folder(out)
        return
    except OSError as error:
        raise UserError(f"-o {out}: cannot be written: {error.strerror or error}") from None
    if not own:
        raise UserError(f"-o {out}: is there, and sslbench look did not write it; name another file, or remove it")


def check_folder(out: Path) -> None:
    """Raises UserError where its folder, or the first one above it that is there, takes no new file."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        raise UserError(f"-o {out}: cannot be written: {folder} takes no new file")


def check_place(out: Path, found: Look) -> None:
    """Raises UserError for a picture that would itself become an image of the data set."""
    folder = os.path.realpath(out.parent)
    if out.suffix.lower() == ".png" and any(within(folder, place) for place in found.folders):
        raise UserError(f"-o {out}: lies among the images of {found.data} and would become one; name another folder")


def within(folder: str, place: str) -> bool:
    """Whether a folder is another or lies below it."""
    return folder == place or folder.startswith(place.rstrip(os.sep) + os.sep)


def write(found: Look, out: Path) -> None:
    """The file is whole or as it was; its folder is made where it is missing. Raises UserError where that cannot be."""
    content = WRITERS[out.suffix.lower()](found)
    try:
        write_atomically(out, content)
    except OSError as error:
        raise UserError(f"-o {out}: cannot be written: {error.strerror or error}") from None


def as_png(found: Look) -> bytes:
    """All pictures on one sheet."""
    from io import BytesIO

    import numpy as np
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from sslbench.look.sheet import sheet
    from sslbench.report.data_facts import in_words

    words = PngInfo()
    words.add_text("Software", MADE_BY)
    words.add_text("Description", printable("\n".join(picture.caption for picture in found.pictures)))
    pixels = sheet(in_words(found.data, found.facts), found.pictures)
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())).save(buffer, "PNG", pnginfo=words)
    return buffer.getvalue()


def as_page(found: Look) -> bytes:
    """One page of HTML that needs nothing else."""
    from sslbench.look.page import page

    return page(found, MADE_BY).encode(errors="backslashreplace")


WRITERS: dict[str, Callable[[Look], bytes]] = {".png": as_png, ".html": as_page}
