"""``sslbench.load``, and what runs left: as tables, tests, encoders, features, pictures and a report."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslbench.errors import UserError
from sslbench.report.aggregate import aggregate
from sslbench.report.tables import left_to_run
from sslbench.report.text import plural
from sslbench.report.view import View
from sslbench.results.plain import user_path
from sslbench.results.rows import metric_of, one_of, records_of
from sslbench.results.words import in_python, keywords_for_options
from sslbench.store.current import Unfinished
from sslbench.store.record import Record
from sslbench.store.results import ResultsStore

if TYPE_CHECKING:
    from sslbench.contracts.evaluator import FeatureSet
    from sslbench.report.frame import DataFrame
    from sslbench.results.encoder import Encoder
    from sslbench.results.pictures import Pictures

SPLITS = ["train", "test"]
PLOTS = {
    "seeds": "seeds",
    "quality": "quality_against_cost",
    "differences": "differences",
    "curves": "curves",
    "heat-map": "heat_map",
}
"""kind of ``Results.plot`` -> its module in ``report/charts``"""
Row = int | str
"""of ``Results.table``: its number, or words of its recipe that no other row has all of"""


def load(folder: str | os.PathLike[str]) -> Results:
    """The results in a folder, as ``run`` returns them. What is missing or damaged is warned of. Raises UserError where
    there are none."""
    path = user_path("folder", folder)
    with in_python(), ResultsStore.open_for_reading(path) as store:
        stored, unfinished = store.read(), store.unfinished()
        suite = ", ".join(store.suites())
    notes = [f"{line}; it is left out" for line in stored.damaged]
    if stored.superseded:
        notes.append(f"{plural(stored.superseded, 'record')} of older code or data left out")
    results = Results(stored.records, path, suite, notes, unfinished)
    warn_of(results)
    return results


def warn_of(results: Results, more: Sequence[str] = ()) -> None:
    """Warn whoever called ``load`` or ``run`` of what is missing, and of ``more``."""
    counts = Counter(record.status for record in results.records if record.status not in ("done", "skipped"))
    wrong = [f"{plural(count, 'cell')} {status}: the results say why" for status, count in counts.items()]
    for line in dict.fromkeys(map(keywords_for_options, [*more, *results.notes, *wrong])):
        warnings.warn(line, stacklevel=3)


def mixed(speeds: int) -> str:
    """What tables of recipes leave out."""
    return f"{plural(speeds, 'row')} of a speed suite left out of these tables: records and report() have them"


class Results:
    """What runs left. Rows are recipes, over seeds, the best first; methods that take one take its number or words."""

    def __init__(
        self,
        records: Sequence[Record],
        folder: Path | None = None,
        suite: str = "",
        notes: Sequence[str] = (),
        unfinished: Sequence[Unfinished] = (),
    ) -> None:
        """``folder``: where the records lie, with weights and features; None where nothing could be stored; ``notes``:
        what is missing or damaged; ``unfinished``: what was asked for and is not all there."""
        self.records, self.folder, self.suite = list(records), folder, suite
        speeds = sum(record.kind == "speed" for record in self.records)
        self._more = [*notes, *([mixed(speeds)] if 0 < speeds < len(self.records) else [])]
        self.notes = tuple(map(keywords_for_options, [*map(left_to_run, unfinished), *self._more]))
        self._unfinished = unfinished

    @cached_property
    def _view(self) -> View:
        cells = aggregate(record for record in self.records if record.kind == "run")
        return View(cells, self.folder, self._unfinished)

    @property
    def _ranked(self) -> View:
        """Raises UserError where there are no recipes."""
        if self._are_speeds:
            raise UserError("these are rows of a speed suite, which ranks no recipes: table() and report() have them")
        return self._view

    @property
    def _are_speeds(self) -> bool:
        return bool(self.records) and all(record.kind == "speed" for record in self.records)

    @property
    def _place(self) -> Path:
        if self.folder is None:
            raise UserError("these results could not be stored: there are no weights, features or pictures of them")
        return self.folder

    def table(self) -> DataFrame:
        """A data frame with a row a recipe, or a row a measurement where all are of a speed suite: docs/python.md."""
        from sslbench.report.frame import frame_of, ranked_frame

        if self._are_speeds:
            from sslbench.speed.facts import TimedRow
            from sslbench.speed.table import csv_lines

            return frame_of([line for record in self.records for line in csv_lines(TimedRow.of(record))], [])
        return ranked_frame(self._view)

    def best(self, metric: str | None = None) -> DataFrame:
        """The best recipe of each data set and those that are not told apart from it, numbered as in ``table``.
        ``metric``: default the first of the table. Raises UserError."""
        from sslbench.results.tables import best

        with in_python():
            return best(self._ranked, metric_of(self._ranked, metric))

    def pairs(self) -> DataFrame:
        """Each recipe against the best of its metric: difference, interval, p and verdict; ``attrs["notes"]`` say what
        they rest on."""
        from sslbench.results.tables import pairs

        return pairs(self._ranked)

    def curves(self) -> DataFrame:
        """Loss of every epoch of every training, and the metrics of those that were evaluated (``curve_every``)."""
        from sslbench.results.tables import curves

        return curves(self._ranked)

    def encoder(self, row: Row = 0, seed: int | None = None, *, trust: bool = False) -> Encoder:
        """The encoder of one training, in eval mode: ``encoder.embed(paths)``. ``seed``: default the first; ``trust``:
        allow code that comes with a model. Raises UserError where there is none."""
        from sslbench.results.artifacts import encoder

        with in_python():
            return encoder(self._place, records_of(self._ranked, row, seed), trust)

    def features(self, row: Row = 0, split: str = "train", seed: int | None = None) -> FeatureSet:
        """``features`` float32 ``[N, D]``, ``labels`` int64 ``[N]`` or None, and ``factors`` of a split, ``train`` or
        ``test``, as they were evaluated. Raises UserError where they are gone or damaged."""
        from sslbench.results.artifacts import features

        with in_python():
            extraction = features(self._place, records_of(self._ranked, row, seed))
            part: FeatureSet = getattr(extraction, one_of("split", split, SPLITS))
            return part

    def pictures(self, row: Row = 0, seed: int | None = None) -> Pictures:
        """What the evaluators of one training drew, and its views and masks; a notebook shows them."""
        from sslbench.results.pictures import pictures

        with in_python():
            return pictures(self._place, records_of(self._ranked, row, seed))

    def plot(self, kind: str = "seeds") -> Any:
        """An altair chart: ``seeds``, ``quality`` against cost, ``differences`` from the best, ``curves`` or
        ``heat-map``. Raises UserError where there is nothing to draw."""
        name = PLOTS[one_of("kind", kind, list(PLOTS))]
        charts = {name: import_module(f"sslbench.report.charts.{name}") for name in PLOTS.values()}
        if not charts[name].panels(self._ranked):
            others = [other for other, module in PLOTS.items() if charts[module].panels(self._ranked)]
            there = f"there is something of: {', '.join(others)}" if others else "nor of any other"
            raise UserError(f"kind {kind!r}: these results have nothing to draw of this kind; {there}")
        return getattr(charts[name], name)(self._ranked)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write one self-contained HTML file of all that is in the folder of the results, by default
        ``FOLDER/report.html``, and return its path. Raises UserError where it cannot be written."""
        from sslbench.report.html.page import FILE, write_report
        from sslbench.results.chapters import KINDS

        with in_python():
            target = self._place / FILE if path is None else user_path("path", path)
            write_report([self._place], target, KINDS)
        return target

    def answer(self) -> str:
        """Sentences: which recipe is best, by how much, what is not told apart from it, and at what cost."""
        from sslbench.report.answer import answer

        if self._are_speeds:
            return f"{plural(len(self.records), 'row')} of a speed suite: table() has them; no recipe is ranked."
        return keywords_for_options(" ".join(answer(self._view)))

    def __repr__(self) -> str:
        from sslbench.results.text import speed_text, terminal_text

        if self._are_speeds:
            return speed_text(self.records, self.suite, self._more)
        return terminal_text(self.records, self.suite, self.folder, self._more, self._unfinished)

    def _repr_html_(self) -> str:
        from sslbench.results.text import html_of

        if self._are_speeds:
            return f"<pre>{escape(repr(self))}</pre>"
        return html_of(self._view, self.suite, self.notes)
