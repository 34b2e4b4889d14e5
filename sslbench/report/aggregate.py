"""Records -> one row a recipe, with mean, standard deviation, 95% interval and count over its seeds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from sslbench.report.rows import AXES, Record, Row, as_text, assigned, differing, evaluator_of, gather, telling
from sslbench.statistics.student import half_width

if TYPE_CHECKING:
    from pandas import DataFrame

MANY = 3
"""Metrics of one evaluator that the main table has room for."""
FINISHED = ("done", "collapsed")
"""Statuses whose metrics are measurements."""
SPEED = {
    "images_per_second": ("pretraining", "images_per_second"),
    "step_ms_median": ("pretraining", "step_ms_median"),
    "step_ms_iqr": ("pretraining", "step_ms_iqr"),
    "data_wait_share": ("pretraining", "data_wait_share"),
    "peak_memory_bytes": ("pretraining", "peak_memory_bytes"),
    "flops_per_image": ("pretraining", "flops_per_image"),
    "pretraining_seconds": ("pretraining", "seconds"),
    "embed_images_per_second": ("features", "images_per_second"),
}
"""Column -> where it is in a record."""


@dataclass(frozen=True)
class Quality:
    """One metric as a column. ``label`` is its name, and what tells evaluators apart that share the name."""

    label: str
    name: str
    unit: str
    higher_is_better: bool | None
    """None: neither"""
    table: str = ""
    """of an evaluator with many metrics: the title of a table of its own"""
    detail: bool = False
    """in that table alone; the headline is in the main one too"""


@dataclass(frozen=True)
class Problem:
    """What kept cells of one row from being done."""

    row: int
    status: str
    reason: str
    seeds: tuple[int, ...]
    evaluators: tuple[str, ...]
    """those it kept from judging; empty for all of the row's"""


@dataclass(frozen=True)
class Aggregate:
    """What the records say, a row for each recipe.

    ``lines`` has one for each of ``rows``, in their order, all with the same columns: the axes; ``KIND.PARAMETER``
    for each parameter that tells rows apart; ``seeds`` (their number) and ``status``; for each metric and each
    quantity of ``SPEED``, over seeds: ``_mean``, ``_std`` (ddof 1), ``_low`` and ``_high`` (Student's 95% interval of
    the mean), these three null for one seed, and ``_n``; for a metric with repeated draws inside the evaluator also
    ``_draws_std`` and ``_draws_n`` (root mean square and mean over seeds).
    """

    rows: tuple[Row, ...]
    lines: tuple[dict[str, Any], ...]
    qualities: tuple[Quality, ...]
    tells: dict[tuple[str, str], list[str]]
    """(kind, plugin name) -> parameters that tell rows of that name apart"""
    problems: tuple[Problem, ...]
    unmeasured: dict[tuple[str, str], int]
    """(metric, reason) -> cells that were judged without it"""
    skipped: dict[str, int]
    """reason -> number of cells"""
    images_skipped: dict[str, int]
    """data set -> images that were left out"""
    older: int
    """records left out because newer code or data made the same cell again"""
    values: Mapping[tuple[int, str], Mapping[int, float]] = field(default_factory=dict)
    """(row, metric) -> seed -> value"""
    sources: Mapping[tuple[int, str], Mapping[int, Record]] = field(default_factory=dict)
    """the same -> the record that has it"""

    @cached_property
    def table(self) -> DataFrame:
        """The lines as a data frame. Only this imports pandas, which takes longer than all the rest."""
        from pandas import DataFrame

        columns = list(self.lines[0]) if self.lines else [*AXES, "seeds", "status"]
        table = DataFrame(list(self.lines), columns=columns, dtype=object)
        kinds = {name: number_type(name) for name in columns[columns.index("status") + 1 :]}
        return table.astype(kinds)


def number_type(column: str) -> str:
    """Of a measured column: a count, a count that may be missing, or a number that may be missing."""
    if column.endswith("_draws_n"):
        return "Int64"
    return "int64" if column.endswith("_n") else "float64"


def aggregate(records: Iterable[Record]) -> Aggregate:
    records = list(records)
    rows, older = gather(records)
    values = [value for place, row in enumerate(rows) for r in row.records for value in values_of(place, r)]
    qualities, labels = name_metrics(values)
    for value in values:
        value["label"] = labels[value["name"], value["evaluator"]]
    judged = [value for value in values if value["judged"]]
    tells = telling(rows)
    skipped = Counter(str(r["reason"]) for r in records if r["status"] == "skipped")
    measured: dict[tuple[int, str], dict[int, float]] = {}
    sources: dict[tuple[int, str], dict[int, Record]] = {}
    for value in judged:
        if value["value"] is not None:
            place, seed = (value["row"], value["label"]), value["record"]["seed"]
            measured.setdefault(place, {})[seed] = float(value["value"])
            sources.setdefault(place, {})[seed] = value["record"]
    return Aggregate(
        rows=tuple(rows),
        lines=tuple(
            {**words, **quality, **speeds(row)}
            for row, words, quality in zip(
                rows, identity(rows, tells), statistics(judged, qualities, len(rows)), strict=True
            )
        ),
        qualities=tuple(qualities),
        tells=tells,
        problems=tuple(problems(rows)),
        unmeasured=dict(Counter((v["label"], v["reason"]) for v in judged if v["value"] is None and v["reason"])),
        skipped=dict(skipped),
        images_skipped=images_skipped(rows),
        older=older,
        values=measured,
        sources=sources,
    )


def values_of(place: int, record: Record) -> list[dict[str, Any]]:
    """The metrics of one record."""
    name, params = evaluator_of(record)
    return [
        {
            "row": place,
            "name": metric,
            "record": record,
            "evaluator": as_text([name, params]),
            "evaluator_name": name,
            "evaluator_params": params,
            "headline": record.get("headline"),
            "judged": record["status"] in FINISHED,
            **{key: facts.get(key) for key in ("value", "unit", "higher_is_better", "std", "n", "reason")},
        }
        for metric, facts in record["metrics"].items()
    ]


def name_metrics(values: Sequence[dict[str, Any]]) -> tuple[list[Quality], dict[tuple[str, str], str]]:
    """The metric columns: evaluators in the order in which they appear, the metrics of each by name.

    A metric that nobody measured has a column only if its evaluator measured nothing else.
    Answers also (metric, evaluator) -> label.
    """
    order = list(dict.fromkeys(value["evaluator"] for value in values))
    first = {(v["name"], v["evaluator"]): v for v in reversed(values)}
    measured = {(v["name"], v["evaluator"]) for v in values if v["judged"] and v["value"] is not None}
    useful = {evaluator for _, evaluator in measured}
    keys = sorted(first, key=lambda key: (order.index(key[1]), natural(key[0])))
    labels = {}
    for name, evaluator in keys:
        rivals = [first[key] for key in keys if key[0] == name]
        own = first[name, evaluator]
        words = [own["evaluator_name"]] if len({r["evaluator_name"] for r in rivals}) > 1 else []
        same = [r["evaluator_params"] for r in rivals if r["evaluator_name"] == own["evaluator_name"]]
        words += [assigned(own["evaluator_params"], differing(same))]
        tag = " ".join(filter(None, words))
        labels[name, evaluator] = f"{name} ({tag})" if tag else name
    shown = [key for key in keys if key in measured or key[1] not in useful]
    titles = crowded(shown, first)
    qualities = [
        Quality(
            labels[key],
            key[0],
            first[key]["unit"] or "",
            first[key]["higher_is_better"],
            titles.get(key[1], ""),
            key[1] in titles and key[0] != first[key]["headline"],
        )
        for key in shown
    ]
    return qualities, labels


def crowded(shown: Sequence[tuple[str, str]], first: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, str]:
    """Evaluators that show more than ``MANY`` metrics and say which is the headline -> their names, with the
    parameters that tell them apart."""
    known = {evaluator: facts for (_, evaluator), facts in first.items()}
    found = {}
    for evaluator, facts in known.items():
        own = [name for name, other in shown if other == evaluator]
        if len(own) > MANY and facts["headline"] in own:
            name = facts["evaluator_name"]
            same = [other["evaluator_params"] for other in known.values() if other["evaluator_name"] == name]
            told = assigned(facts["evaluator_params"], differing(same))
            found[evaluator] = f"{name} ({told})" if told else name
    return found


def natural(name: str) -> list[Any]:
    """A sort key in which ``@2`` comes before ``@13``, and ``@0.5`` after ``@0.25``."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(1, float(part), "") if place % 2 else (0, 0.0, part) for place, part in enumerate(parts)]


def identity(rows: Sequence[Row], tells: dict[tuple[str, str], list[str]]) -> list[dict[str, Any]]:
    """Axes, telling parameters, number of seeds and status of each row."""
    extra = dict.fromkeys((kind, name) for (kind, _), names in tells.items() for name in names)
    lines = []
    for row in rows:
        params = {f"{kind}.{name}": row.params[kind].get(name) for kind, name in extra}
        seeds = {record["seed"] for record in row.records}
        lines.append({**row.axes, **params, "seeds": len(seeds), "status": status_of(row)})
    return lines


def status_of(row: Row) -> str:
    """``2 done, 1 diverged``: how many seeds; one counts as done if all its evaluators are."""
    of_seed: dict[int, str] = {}
    for record in row.records:
        if of_seed.get(record["seed"], "done") == "done":
            of_seed[record["seed"]] = record["status"]
    counts = Counter(of_seed.values())
    return ", ".join(f"{counts[status]} {status}" for status in sorted(counts, key=lambda s: (s != "done", s)))


def summed_up(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation (ddof 1) and interval (null for fewer than two) and count, as columns."""
    mean = fmean(values) if values else None
    std = stdev(values) if len(values) > 1 else None
    low, high = interval(mean, std, len(values))
    return {
        f"{name}_mean": mean,
        f"{name}_std": std,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_n": len(values),
    }


def interval(mean: float | None, std: float | None, n: int) -> tuple[float | None, float | None]:
    """Student's 95% interval of a mean; (None, None) for fewer than two values."""
    if mean is None or std is None:
        return None, None
    half = half_width(std, n)
    return mean - half, mean + half


def statistics(judged: Sequence[dict[str, Any]], qualities: Sequence[Quality], rows: int) -> list[dict[str, Any]]:
    """Mean, standard deviation and count of each metric over the seeds of each row."""
    measured: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for value in judged:
        if value["value"] is not None:
            measured.setdefault((value["row"], value["label"]), []).append(value)
    drawn = {label for (_, label), found in measured.items() if any(v["std"] is not None for v in found)}
    lines = []
    for row in range(rows):
        line: dict[str, Any] = {}
        for label in (quality.label for quality in qualities):
            found = measured.get((row, label), [])
            line |= summed_up(label, [float(value["value"]) for value in found])
            if label in drawn:
                spreads = [float(value["std"]) ** 2 for value in found if value["std"] is not None]
                counts = [float(value["n"]) for value in found if value["n"] is not None]
                line[f"{label}_draws_std"] = fmean(spreads) ** 0.5 if spreads else None
                line[f"{label}_draws_n"] = round(fmean(counts)) if counts else None
        lines.append(line)
    return lines


def speeds(row: Row) -> dict[str, Any]:
    """Mean, standard deviation and count of each speed over the pretrainings of a row."""
    # The records of one pretraining repeat its figures, or lack them: the first one known counts.
    once: dict[str, dict[str, float]] = {}
    for record in row.records:
        parts = {name: record.get(name) or {} for name in ("pretraining", "features")}
        known = once.setdefault(parts["pretraining"].get("key") or f"seed {record['seed']}", {})
        for column, (part, name) in SPEED.items():
            if parts[part].get(name) is not None:
                known.setdefault(column, float(parts[part][name]))
    line: dict[str, Any] = {}
    for column in SPEED:
        line |= summed_up(column, [known[column] for known in once.values() if column in known])
    return line


def problems(rows: Sequence[Row]) -> list[Problem]:
    """What is not done, cells with the same row, status and reason together."""
    found = []
    for place, row in enumerate(rows):
        everyone = {record["evaluator"] for record in row.records}
        groups: dict[tuple[str, str], list[Record]] = {}
        for record in row.records:
            if record["status"] != "done":
                reason = (str(record.get("reason") or "").splitlines() or [""])[0]
                groups.setdefault((record["status"], reason), []).append(record)
        for (status, reason), records in groups.items():
            names = tuple(dict.fromkeys(record["evaluator"] for record in records))
            seeds = tuple(sorted({record["seed"] for record in records}))
            found.append(Problem(place, status, reason, seeds, names if set(names) != everyone else ()))
    return found


def images_skipped(rows: Sequence[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        counts = [(record.get("pretraining") or {}).get("images_skipped") or 0 for record in row.records]
        if max(counts, default=0):
            name = row.name("dataset")
            found[name] = max(found.get(name, 0), *counts)
    return found
