"""Words in pictures, in the font that Pillow brings, so that a picture is the same on every machine."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

SIZE = 14
"""pixels"""
NO_LETTER = "\uffff"
REPLACED = str.maketrans(
    {
        "\u2013": "-",
        "\u2014": "-",
        "\u00d7": "x",
        "ß": "ss",
        "æ": "ae",
        "ø": "o",
        "ł": "l",
        "Æ": "Ae",
        "Ø": "O",
        "Ł": "L",
    }
)


@cache
def font(size: int = SIZE) -> Any:
    """Of letters ``size`` pixels high."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def width_of(text: str, size: int = SIZE) -> int:
    """Pixels."""
    return int(font(size).getlength(text) + 0.999)


@cache
def has_letter(letter: str) -> bool:
    """Whether the font can draw it."""
    face = font()
    return letter == " " or bytes(face.getmask(letter)) != bytes(face.getmask(NO_LETTER))


def drawable(text: str) -> str:
    """The text in letters that the font has: accents are left out; what it cannot draw at all is ``?``."""
    plain = unicodedata.normalize("NFKD", text.translate(REPLACED))
    letters = [letter for letter in plain if not unicodedata.combining(letter)]
    return "".join(letter if letter.isprintable() and has_letter(letter) else "?" for letter in letters)


def class_words(names: Sequence[str], classes: int) -> list[str]:
    """For a caption: the name of each class 0..classes-1 on one line of at most 40 characters, or ``class 3``."""
    words = ["".join(letter if letter.isprintable() else "?" for letter in name) for name in names[:classes]]
    short = [word if len(word) <= 40 else f"{word[:39]}…" for word in words]
    return [word or f"class {number}" for number, word in enumerate(short + [""] * (classes - len(short)))]


def drawable_names(names: Sequence[str], classes: int) -> list[str]:
    """A word for each class 0..classes-1: its name, or ``class 3`` where there is none, or none that the font has."""
    words = [drawable(name) for name in names[:classes]]
    readable = [word if word.strip() and "?" not in word else f"class {number}" for number, word in enumerate(words)]
    return readable + [f"class {number}" for number in range(len(readable), classes)]


def shortened_to(text: str, width: int, size: int = SIZE) -> str:
    """As much of the text as ``width`` pixels hold, with ``…`` for the rest."""
    if width_of(text, size) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(text[:middle].rstrip() + "…", size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…" if low else ""
