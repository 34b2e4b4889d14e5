"""Names of classes: those that are most likely one class, written in two ways."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from sslbench import UserError


def check_different(names: Iterable[str], where: str) -> None:
    """Raises UserError for two names that differ by case, spaces, the form of a Unicode letter, or the way a number is
    written alone. Single letters may differ by case: alphabets do."""
    first: dict[str, str] = {}
    for name in sorted(set(names)):
        other = first.setdefault(folded(name), name)
        if other != name:
            raise UserError(
                f"{where}: the classes {ascii_where_alike(other, name)} and {ascii_where_alike(name, other)} differ by"
                f" {difference(other, name)} alone; write one class in one way"
            )


def folded(name: str) -> str:
    """The same for names that are most likely one class."""
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if len(text) > 1:
        text = unicodedata.normalize("NFC", text.casefold())
    return number_of(text) or text


def number_of(text: str) -> str:
    """``1`` of ``1.0`` and ``01``; empty for what is no number that tables write so."""
    plain = text.removeprefix("-")
    digits, _, rest = plain.partition(".")
    if not (digits.isascii() and digits.isdigit()) or rest.strip("0"):
        return ""
    return f"{'-' if plain != text else ''}{digits.lstrip('0') or '0'}"


def difference(one: str, other: str) -> str:
    """What two names differ by, in words."""
    if number_of(one.strip()) and number_of(other.strip()):
        return "the way the number is written"
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return "the form of a Unicode letter"
    if one.split() == other.split():
        return "spaces"
    return "case" if one.casefold() == other.casefold() else "case and spaces"


def ascii_where_alike(name: str, other: str) -> str:
    """The name in quotes, with escapes where it would look like the other."""
    alike = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)
    return ascii(name) if alike else repr(name)
