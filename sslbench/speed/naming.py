"""Names of rows: what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench.report.numbers import NOTHING
from sslbench.report.rows import differing
from sslbench.speed.facts import TimedRow
from sslbench.speed.rows import SETTINGS

KINDS = ("backbone", "method", "augmentation", "dataset")
"""Plugins that say which row it is; of the masking, the number of patches says it."""


class Naming:
    """Names for some rows. ``among`` are always the rows that a name must be told apart from."""

    def __init__(self, rows: Sequence[TimedRow]) -> None:
        self.rows = rows

    def plugin(self, row: TimedRow, kind: str, among: Sequence[TimedRow] | None = None) -> str:
        """A plugin's name with the parameters that tell it from others of that name, in all rows by default; of a
        switch only that it is on."""
        name = getattr(row.record, kind)
        if name is None:
            return NOTHING
        others = [other.record for other in (self.rows if among is None else among)]
        keys = differing([other.params[kind] for other in others if getattr(other, kind) == name])
        values = {key: row.record.params[kind].get(key) for key in keys}
        words = [key if value is True else f"{key}={value}" for key, value in values.items() if value is not False]
        return f"{name} ({', '.join(words)})" if words else str(name)

    def row(self, row: TimedRow, among: Sequence[TimedRow]) -> str:
        """What tells a row from others."""
        words = [
            self.plugin(row, kind, among)
            for kind in KINDS
            if len({self.plugin(other, kind, among) for other in among}) > 1
        ]
        if len({masked_patches(other) for other in among}) > 1:
            words.append(f"{masked_patches(row)} masked")
        words += [str(getattr(row.facts, name)) for name in varying(among)]
        return " ".join(words) or self.plugin(row, "method", among)

    def request(self, row: TimedRow) -> str:
        """What was asked for, of a row that was not measured."""
        words = [self.plugin(row, kind) for kind in (*KINDS, "masking") if getattr(row.record, kind)]
        settings = [getattr(row.facts, name) for name in varying(self.rows)]
        return " ".join([*words, *(str(value) for value in settings if value is not None)])


def varying(rows: Sequence[TimedRow]) -> list[str]:
    """The settings in which rows differ; those of a row whose facts are damaged are None and count for nothing."""
    return [name for name in SETTINGS if len({getattr(row.facts, name) for row in rows} - {None}) > 1]


def masked_patches(row: TimedRow) -> str:
    """``147/196``."""
    return "/".join(map(str, row.facts.patches)) if row.facts.patches else NOTHING
