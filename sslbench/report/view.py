"""What a person sees of the records: the order of the rows, the line above the table, and its columns."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sslbench.report.aggregate import Aggregate, Quality
from sslbench.report.text import Column
from sslbench.report.numbers import NOTHING, decimals, fixed, listed, median_and_iqr, missing, percent, three_digits
from sslbench.report.rows import Row, assigned
from sslbench.report.ties import not_told_apart, seedless

NAMES = ("dataset", "method", "augmentation", "masking", "backbone", "training")
"""Columns of words, from left to right. One that says the same on all rows is said above the table instead."""
ALWAYS = "method"
SETTINGS: dict[str, Callable[[Any], str]] = {
    "epochs": lambda value: f"{value} epoch{'s' if value != 1 else ''}",
    "batch_size": lambda value: f"batch {value}",
    "image_size": lambda value: f"{value} px",
    "train_images": lambda value: f"at most {value:,} training images",
    "evaluate_on": lambda value: "judged on held-out training images" if value == "validation" else "",
    "device": str,
    "precision": str,
    "compile": lambda value: "compiled" if value else "",
}
"""Training settings in words."""


@dataclass(frozen=True)
class Style:
    """How much room the table takes."""

    gap: int = 2
    """blanks between columns"""
    broken_headers: bool = False
    """a header that is longer than its cells has two lines"""
    plus_minus: str = " ± "
    leading_zero: bool = True
    join_masking: bool = False
    """the masking beside the method, in one column"""
    wrap: int = 0
    """width at which the words on the left are broken; 0: never"""


@dataclass(frozen=True)
class Marks:
    """How values of note are shown."""

    best: Callable[[str], str]
    tie: Callable[[str], str]


STYLES = (
    Style(),
    Style(2, True),
    Style(2, True, "±"),
    Style(1, True, "±"),
    Style(1, True, "±", leading_zero=False),
    Style(1, True, "±", leading_zero=False, join_masking=True),
    Style(1, True, "±", leading_zero=False, join_masking=True, wrap=13),
)
"""From roomy to tight."""


class View:
    """One rendering. Rows are sorted by data set, then by the first metric, best first."""

    def __init__(self, found: Aggregate) -> None:
        self.found = found
        self.ratios = {row.axes["mask_ratio"] for row in found.rows} - {None}
        self.names = {kind: [self._name(row, kind) for row in found.rows] for kind in NAMES}
        different = {kind: len(set(names) - {""}) for kind, names in self.names.items()}
        self.kept = [kind for kind in NAMES if kind == ALWAYS or different[kind] > 1]
        self.order = self._sorted()
        ranked = {quality.label: self._ranked(quality) for quality in found.qualities}
        self.best = {label: best for label, (best, _) in ranked.items()}
        self.ties = {label: ties for label, (_, ties) in ranked.items()}

    def _name(self, row: Row, kind: str) -> str:
        """A plugin's name with the parameters that tell it from another row's; of the training settings only those."""
        told = assigned(row.params[kind], self.found.tells[kind, row.name(kind)])
        if kind == "training":
            return told
        ratio = row.axes["mask_ratio"]
        if kind == "masking" and ratio is not None and len(self.ratios) > 1:
            told = ", ".join(filter(None, [f"ratio={ratio:g}", told]))
        name = row.name(kind)
        return f"{name} ({told})" if told else name

    def _sorted(self) -> list[int]:
        ranking = (q for q in self.found.qualities if not q.detail and q.higher_is_better is not None)
        first = next((q for q in ranking if not all(map(missing, self.means(q)))), None)

        def place(row: int) -> tuple[str, bool, float]:
            dataset = self.names["dataset"][row]
            if first is None or missing(self.means(first)[row]):
                return dataset, True, 0.0
            value = float(self.means(first)[row])
            return dataset, False, -value if first.higher_is_better else value

        return sorted(range(len(self.found.rows)), key=place)

    def means(self, quality: Quality) -> list[Any]:
        return [line[f"{quality.label}_mean"] for line in self.found.lines]

    def spread(self, quality: Quality, row: int) -> tuple[float, str, int] | None:
        """Standard deviation of a value; over what (``seeds``, for one seed the evaluator's ``draws``); how many."""
        line, label = self.found.lines[row], quality.label
        for over, std, n in (("seeds", "std", "n"), ("draws", "draws_std", "draws_n")):
            if not missing(line.get(f"{label}_{std}")):
                return float(line[f"{label}_{std}"]), over, int(line[f"{label}_{n}"])
        return None

    def rivals(self, quality: Quality) -> list[list[int]]:
        """Of each data set: the rows that a metric ranks, best first, or the highest where none is better."""
        means, sign = self.means(quality), -1 if quality.higher_is_better is False else 1
        groups: dict[str, list[int]] = {}
        for row in self.order:
            if not missing(means[row]):
                groups.setdefault(self.names["dataset"][row], []).append(row)
        return [sorted(rows, key=lambda r: -sign * means[r]) for rows in groups.values()]

    def _ranked(self, quality: Quality) -> tuple[set[int], set[int]]:
        """Of each data set with rows to compare: the best, and what is not told apart from it."""
        means, label = self.means(quality), quality.label
        best, ties = set(), set()
        for top, *others in self.rivals(quality):
            if not others or quality.higher_is_better is None:
                continue
            equal = {row for row in others if means[row] == means[top]}
            spread = self.spread(quality, top)
            values = [self.found.values[row, label] for row in (top, *others)]
            told = not_told_apart(values[0], values[1:], margin=spread[0] if spread else 0.0)
            best |= {top, *equal}
            ties |= {row for row, tie in zip(others, told, strict=True) if tie and row not in equal}
        return best, ties

    @property
    def seedless(self) -> bool:
        """Whether a best value and one that is not as good are the same on every seed."""
        return any(
            seedless(self.found.values[top, quality.label], self.found.values[row, quality.label])
            for quality in self.found.qualities
            if quality.higher_is_better is not None
            for top, *others in self.rivals(quality)
            for row in others
            if row not in self.best[quality.label]
        )

    @property
    def seeds(self) -> int:
        """The most that a row has."""
        return max((line["seeds"] for line in self.found.lines), default=0)

    def recipe(self, row: int) -> str:
        """A row in words: what tells it from the others."""
        return " ".join(filter(None, (self.names[kind][row] for kind in self.kept)))

    def title(self, suite: str) -> str:
        """What is the same for all rows."""
        words = [self.names["dataset"][0]] if self.order and "dataset" not in self.kept else []
        seeds = {record["seed"] for row in self.found.rows for record in row.records}
        if seeds:
            words.append(f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}")
        words += self._settings()
        for kind in ("augmentation", "masking", "backbone"):
            name = next(filter(None, self.names[kind]), None)
            if kind not in self.kept and name:
                words.append(f"{kind} {name}")
        if len(self.ratios) == 1:
            words.append(f"mask ratio {max(self.ratios):g}")
        if not self.order:
            words.append("no results")
        return f"{suite}: {' · '.join(words)}" if suite else " · ".join(words)

    def _settings(self) -> list[str]:
        words = []
        for name, in_words in SETTINGS.items():
            values = [row.params["training"][name] for row in self.found.rows if name in row.params["training"]]
            if values and values[0] is not None and all(value == values[0] for value in values):
                words.append(in_words(values[0]))
        return [word for word in words if word]

    def columns(self, style: Style, marks: Marks) -> list[Column]:
        """Of the main table, with marks on the best values and on those not told apart from them."""
        columns = self.words(style)
        columns += self._qualities([q for q in self.found.qualities if not q.detail], style, marks)
        columns += self._speeds(style)
        statuses = [str(self.found.lines[row]["status"]) for row in self.order]
        if len(set(statuses)) > 1 or any("done" not in s or "," in s for s in statuses):
            columns.append(Column("status", [broken(status, style.wrap) for status in statuses]))
        return columns

    @property
    def tables(self) -> list[str]:
        """Titles of the evaluators that have a table of their own, below the main one."""
        return list(dict.fromkeys(quality.table for quality in self.found.qualities if quality.table))

    def columns_of(self, table: str, style: Style, marks: Marks) -> list[Column]:
        """Of such a table: all metrics of its evaluator."""
        own = [quality for quality in self.found.qualities if quality.table == table]
        return self.words(style) + self._qualities(own, style, marks)

    def _qualities(self, qualities: Sequence[Quality], style: Style, marks: Marks) -> list[Column]:
        return [Column(q.label, self._values(q, style, marks), number=True) for q in qualities]

    def words(self, style: Style, rows: Sequence[int] | None = None) -> list[Column]:
        """The columns that say which recipe a line is about; ``rows``: of these, in the place of all."""
        names = {kind: [self.names[kind][row] for row in (self.order if rows is None else rows)] for kind in self.kept}
        headers = {kind: kind for kind in self.kept}
        if style.join_masking and "masking" in self.kept:
            pairs = zip(names[ALWAYS], names.pop("masking"), strict=True)
            names[ALWAYS] = [" ".join(filter(None, pair)) for pair in pairs]
            headers[ALWAYS] = "method masking"
        return [
            Column(headers[kind], [broken(name, style.wrap) or NOTHING for name in column])
            for kind, column in names.items()
        ]

    def _values(self, quality: Quality, style: Style, marks: Marks) -> list[str]:
        means = self.means(quality)
        places = decimals(means)
        cells = []
        for row in self.order:
            if missing(means[row]):
                cells.append(NOTHING)
                continue
            text = fixed(means[row], places, style.leading_zero)
            spread = self.spread(quality, row)
            if spread:
                text += f"{style.plus_minus}{fixed(spread[0], places, style.leading_zero)}"
                text += "d" if spread[1] == "draws" else ""
            if row in self.best[quality.label]:
                text = marks.best(text)
            elif row in self.ties[quality.label]:
                text = marks.tie(text)
            cells.append(text)
        return cells

    def _speeds(self, style: Style) -> list[Column]:
        def mean(name: str) -> list[float | None]:
            return [self.found.lines[row][f"{name}_mean"] for row in self.order]

        def millions(name: str) -> list[str]:
            return [three_digits(None if value is None else value / 1e6) for value in mean(name)]

        gap = " " if style.gap > 1 else ""
        steps = zip(mean("step_ms_median"), mean("step_ms_iqr"), strict=True)
        cells = {
            "img/s": map(three_digits, mean("images_per_second")),
            "step ms (IQR)": [median_and_iqr(median, iqr, gap) for median, iqr in steps],
            "wait %": map(percent, mean("data_wait_share")),
            "peak MB": millions("peak_memory_bytes"),
            "MFLOP/img": millions("flops_per_image"),
            "train s": map(three_digits, mean("pretraining_seconds")),
            "embed img/s": map(three_digits, mean("embed_images_per_second")),
        }
        return [Column(header, list(column), number=True) for header, column in cells.items()]
