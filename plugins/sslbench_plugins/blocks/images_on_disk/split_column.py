"""The split of each row of a table: a column ``split`` of words, or columns such as ``is_valid`` of yes and no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslbench import UserError
from sslbench_plugins.blocks.images_on_disk.splits import ALLOWED, Role, resembled, role_of

SPLIT = "split"
ALIASES = ("splits", "set", "subset", "partition", "phase", "usage", "data_split", "dataset_split")
"""columns that hold the split where their values are words for splits"""
NUMBERED = ("splits", "partition", "data_split", "dataset_split")
"""that hold it also where their values are its numbers"""
FOLDS = ("fold", "folds", "kfold", "subset", "cv")
"""that number parts of which nobody can say the split"""
NUMBERS: Mapping[str, Role] = {"0": "train", "1": "validation", "2": "test"}
"""as CelebA and WILDS number them; without a 2, 1 is the test split"""
YES, NO = frozenset({"1", "true", "yes", "t", "y", "1.0"}), frozenset({"0", "false", "no", "f", "n", "0.0", ""})
NAMED = 3
"""words that a message shows"""

Cells = Mapping[str, str]


def roles_of_rows(rows: Sequence[Cells], where: str) -> list[Role]:
    """Of each row; ``train`` where no column says it. Raises UserError for words that are no split, for two columns
    that say it, and for a column that seems to but has another name."""
    values = {name: [row[name].strip().lower() for row in rows] for name in rows[0] if name not in ("path", "label")}
    said = [name for name in values if name == SPLIT or is_split(name, values[name])]
    flags = {name: role for name in values if (role := flag_of(name)) is not None}
    if len(said) > 1 or (said and flags):
        raise UserError(f"{where}: columns {' and '.join([*said, *flags])} all say the split; keep one")
    if said:
        return [*map(of_word(values[said[0]], said[0], where).__getitem__, values[said[0]])]
    if flags:
        return of_flags({name: values[name] for name in flags}, flags, where)
    for name, cells in values.items():
        check_fold(name, cells, where)
        roles = {role_of(cell) for cell in cells}
        if (None not in roles and "train" in roles and len(roles) > 1) or (role_of(name) and set(cells) <= YES | NO):
            better = SPLIT if None not in roles else f"is_{name}"
            raise UserError(f"{where}: column {name!r} looks like the split; name it {better}")
    return ["train"] * len(rows)


def may_say_split(column: str, folds: bool) -> bool:
    """Whether the split may be in a column, by its name in small letters; ``folds``: columns of folds count."""
    return column in (SPLIT, *ALIASES) or flag_of(column) is not None or (folds and column in FOLDS)


def is_split(column: str, cells: Sequence[str]) -> bool:
    """Whether a column of another name than ``split`` holds it."""
    if column in NUMBERED and set(cells) <= set(NUMBERS) and "0" in cells:
        return True
    return column in ALIASES and any(map(means_split, cells))


def check_fold(column: str, cells: Sequence[str], where: str) -> None:
    """Raises UserError for a column of folds: which of them is evaluated on is not known."""
    if column in FOLDS and len(set(cells)) > 1 and all(cell.removesuffix(".0").isdigit() for cell in cells):
        shown = ", ".join(sorted(set(cells))[:NAMED])
        raise UserError(
            f"{where}: column {column!r} numbers parts ({shown}), and which one to evaluate on is not known; add a"
            f" column {SPLIT} of train and test, or rename {column!r}"
        )


def means_split(cell: str) -> bool:
    """Whether a value names a split, or looks like one."""
    return (role_of(cell) or resembled(cell)) is not None


def flag_of(column: str) -> Role | None:
    """The split of rows that say yes: ``is_test``, ``is_valid``, ``is_training_image``."""
    compressed = "".join(letter for letter in column if letter.isalnum())
    return role_of(compressed.removeprefix("is")) if compressed.startswith("is") else None


def of_word(cells: Sequence[str], column: str, where: str) -> Mapping[str, Role]:
    """Each value of the column -> its split. Raises UserError for one that is no split."""
    different = sorted(set(cells))
    if set(different) <= set(NUMBERS):
        return NUMBERS if "2" in different else {**NUMBERS, "1": "test"}
    roles = {cell: role_of(cell, short=True) for cell in different}
    unknown = [cell for cell in different if roles[cell] is None]
    if unknown:
        shown = ", ".join(repr(cell[:40]) for cell in unknown[:NAMED]) + (", ..." if len(unknown) > NAMED else "")
        line = cells.index(unknown[0]) + 2
        raise UserError(f"{where}: column {column} has {shown} (line {line}), which is no split; allowed: {ALLOWED}")
    return {cell: role for cell, role in roles.items() if role is not None}


def of_flags(values: Mapping[str, Sequence[str]], flags: Mapping[str, Role], where: str) -> list[Role]:
    """Of each row: the split whose column says yes; else the training split, or, where only ``is_train`` is there, the
    test split. Raises UserError for a value that is neither, and for a row with two splits."""
    otherwise: Role = "test" if set(flags.values()) == {"train"} else "train"
    roles: list[Role] = []
    for index, line in enumerate(zip(*values.values(), strict=True), start=2):
        cells = dict(zip(values, line, strict=True))
        wrong = next((name for name, cell in cells.items() if cell not in YES | NO), None)
        if wrong is not None:
            raise UserError(
                f"{where}: column {wrong} has {cells[wrong][:40]!r} (line {index}); allowed: true, false, 1, 0"
            )
        yes = {flags[name] for name, cell in cells.items() if cell in YES}
        if len(yes) > 1:
            raise UserError(f"{where}: line {index} is of the splits {' and '.join(sorted(yes))}; one is needed")
        roles.append(next(iter(yes), otherwise))
    return roles
