"""Labels of several files, compared by the name of the class, whatever number a file gives it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.unlabelled import is_unlabelled

Label = str | int | None
"""a word, or a number where no file has words; None where there is none"""


@dataclass(frozen=True)
class FileLabels:
    """The labels of one file."""

    file: str
    """its name, for messages"""
    values: list[Label]
    names: list[str] | None
    """of the classes by number, where the file has them"""
    minus_ones: tuple[object, ...] = ()
    """-1 as the file writes it, where it has one"""
    dataset: str = "parquet"
    """the plugin's name, for messages"""

    @property
    def kind(self) -> str:
        """``words``, ``integers``, or empty without a label."""
        kinds = {"integers" if isinstance(value, int) else "words" for value in self.values if value is not None}
        return "words and integers" if len(kinds) > 1 else next(iter(kinds), "")

    def in_words(self, names: Sequence[str]) -> FileLabels:
        """The same with words for numbers. Raises UserError for a number without one."""
        beyond = sorted(v for v in self.values if isinstance(v, int) and not 0 <= v < len(names))
        if beyond:
            raise UserError(
                f"{self.dataset}: {self.file}: label {beyond[0]} is none of the {len(names)} classes,"
                f" 0..{len(names) - 1}"
            )
        values: list[Label] = [names[value] if isinstance(value, int) else value for value in self.values]
        return replace(self, values=values, names=list(names))


def cleaned(values: Iterable[object], where: str) -> list[Label]:
    """Labels as a column has them -> words, integers, and None for those that are none. ``where``: names the column
    in messages. Raises UserError for numbers that are not whole."""
    return [clean(value, where) for value in values]


def clean(value: object, where: str) -> Label:
    """One of them."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and (value != value or value.is_integer()):
        value = None if value != value else int(value)
    if is_unlabelled(value):
        return None
    if isinstance(value, float):
        raise UserError(f"{where} holds {value:g}; labels are integers or words")
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)


def by_name(parts: Sequence[FileLabels]) -> tuple[list[list[Label]], list[str]]:
    """The labels of each file, all words or all integers, and the classes: as files declare them, then others in order.

    A file of integers without names takes those of the others, where they agree. Raises UserError where they do not,
    and for integers beside words.
    """
    declared = list({tuple(part.names): part for part in parts if part.names})
    for part in parts:
        if part.names and len(set(part.names)) < len(part.names):
            twice = next(name for name in part.names if part.names.count(name) > 1)
            raise UserError(f"{part.dataset}: {part.file} has two classes of the name {twice!r}")
        if part.kind == "integers" and not part.names and len(declared) > 1:
            problem = "holds integers without names, and other files number the classes differently"
            raise UserError(f"{part.dataset}: {part.file} {problem}; give it the names of its classes")
    known = [
        part.in_words(part.names or declared[0]) if declared and (part.names or part.kind == "integers") else part
        for part in parts
    ]
    kinds = {part.kind: part.file for part in known if part.kind}
    if len(kinds) > 1 or "words and integers" in kinds:
        shown = ", ".join(f"those of {file} are {kind}" for kind, file in kinds.items())
        raise UserError(f"{parts[0].dataset}: labels cannot be compared: {shown}; write all as words")
    found = {label for part in known for label in part.values if label is not None}
    words = dict.fromkeys(name for names in declared for name in names)
    others = sorted((label for label in found if label not in words), key=lambda label: (isinstance(label, str), label))
    return [part.values for part in known], [*words, *(str(label) for label in others)]
