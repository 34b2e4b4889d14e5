"""Words in pictures, in the font that Pillow brings, so that a picture is the same on every machine."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from sslbench.contracts.picture_checks import LONGEST_CAPTION

SIZE = 14
"""pixels"""
LONGEST_NAME = 40
"""characters of a class's name in a caption"""
UNWRITTEN = " Names that the picture cannot write: "
"""begins the last sentence of a caption, where there are any"""
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
    short = [shortened(word, lambda text: len(text) <= LONGEST_NAME) for word in words]
    return [word or f"class {number}" for number, word in enumerate(short + [""] * (classes - len(short)))]


def drawable_names(names: Sequence[str], classes: int) -> list[str]:
    """A word for each class 0..classes-1: its name, or ``class 3`` where there is none, the font lacks its letters, or
    another class would have the same word. ``with_names`` says what such words stand for."""
    words = [drawable(name) for name in names[:classes]]
    times = Counter(words)
    written = [
        bool(word.strip()) and word.count("?") <= name.count("?") and (word == name or times[word] == 1)
        for word, name in zip(words, names, strict=False)
    ]
    taken = {word for word, is_written in zip(words, written, strict=True) if is_written}
    return [
        words[number]
        if number < len(words) and written[number]
        else f"class {'#' if f'class {number}' in taken else ''}{number}"
        for number in range(classes)
    ]


def with_names(caption: str, names: Sequence[str], shown: Iterable[int]) -> str:
    """The caption of a picture that shows these classes, and the names of those that stand in it as ``class 3``, as
    many as a caption has room for."""
    words, full = drawable_names(names, len(names)), class_words(names, len(names))
    others = sorted({number for number in shown if 0 <= number < len(names) and names[number].strip()})
    explained = [f"{words[n]} is {full[n]}" for n in others if words[n] != drawable(names[n])]

    def sentence(count: int) -> str:
        more = f" and {len(explained) - count:,} more" if count < len(explained) else ""
        return f"{caption}{UNWRITTEN}{', '.join(explained[:count])}{more}."

    most = min(len(explained), LONGEST_CAPTION // len("class 1 is"))
    fitting = [made for count in range(1, most + 1) if len(made := sentence(count)) <= LONGEST_CAPTION]
    return fitting[-1] if fitting else caption


def shortened_to(text: str, width: int, size: int = SIZE) -> str:
    """As much of the text as ``width`` pixels hold, as ``shortened``."""
    return shortened(text, lambda part: width_of(part, size) <= width)


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """The beginning and the end of the text, by which names that begin alike differ, and ``…`` for what is between; the
    whole where it fits, nothing where a letter does not."""
    if fits(text):
        return text
    low, high = 0, len(text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if fits(without_middle(text, middle)):
            low = middle
        else:
            high = middle - 1
    return without_middle(text, low) if low else ""


def without_middle(text: str, kept: int) -> str:
    """So many letters of it, the larger half from its beginning."""
    end = kept * 2 // 5
    return f"{text[: kept - end].rstrip()}…{text[len(text) - end :].lstrip()}"
