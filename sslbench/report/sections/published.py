"""Figures of the literature beside those measured: clearly apart, each with its protocol and what differs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from sslbench.report.text import Column
from sslbench.report.numbers import NOTHING, missing
from sslbench.report.rows import Row, assigned
from sslbench.report.sections.render import Section
from sslbench.report.view import View

COMMON = "imagenet"
"""The data set of the literature, shown beside whatever was measured."""
EVALUATORS = ("knn", "linear-probe")
FIELDS = ("dataset", "network", "evaluator", "epochs", "batch_size", "epoch")
IN_WORDS = {"dataset": "data set", "batch_size": "batch", "epoch": "which epoch"}


@cache
def published_figures() -> tuple[Mapping[str, Any], ...]:
    """Every figure of ``published.toml`` with what its source says of all of them."""
    text = resources.files("sslbench.report").joinpath("published.toml").read_text(encoding="utf-8")
    found = []
    for source in tomllib.loads(text)["source"]:
        shared = {key: value for key, value in source.items() if key != "figures"}
        found += [{**shared, **figure} for figure in source["figures"]]
    return tuple(found)


def published(view: View) -> Section:
    """For each method with a published figure: what was measured here, then what was published."""
    rows: list[dict[str, Any]] = []
    methods = dict.fromkeys(view.found.rows[row].name("method") for row in view.order)
    for method in methods:
        mine = [row for row in view.order if view.found.rows[row].name("method") == method]
        figures = [figure for figure in published_figures() if applies(figure, [view.found.rows[row] for row in mine])]
        if figures:
            measured = [line for row in mine for line in measured_of(view, row)]
            rows += measured
            rows += [published_line(figure, mine, measured, view) for figure in figures]
    title = "published figures beside measured ones: not the same experiment, and not to be ranked together"
    if not rows:
        known = ", ".join(dict.fromkeys(figure["method"] for figure in published_figures()))
        return Section(f"published figures: none for these methods (there are some for {known})", [], [], [])
    return Section(
        title, [{k: v for k, v in row.items() if k != "params"} for row in rows], columns_of(rows), notes(rows)
    )


def applies(figure: Mapping[str, Any], rows: Sequence[Row]) -> bool:
    """Whether a figure is of the method of these rows, and of one of their data sets or the common one."""
    same = [row for row in rows if row.name("method") == figure["method"]]
    if "models" in figure:
        words = [str(value) for row in same for value in row.params["method"].values()]
        return any(model in word for model in figure["models"] for word in words)
    return bool(same) and figure["dataset"] in {COMMON, *(row.name("dataset") for row in same)}


def measured_of(view: View, row: int) -> Iterator[dict[str, Any]]:
    """A line for each k-NN and linear metric of a recipe."""
    recipe = view.found.rows[row]
    for quality in view.found.qualities:
        records = view.found.sources.get((row, quality.label), {})
        evaluators = {record["evaluator"] for record in records.values()}
        if not evaluators & set(EVALUATORS):
            continue
        line = view.found.lines[row]
        params = next(iter(records.values()))["params"].get("evaluator") or {}
        training = recipe.params["training"]
        yield {
            "origin": "measured",
            "method": view.names["method"][row],
            "dataset": recipe.name("dataset"),
            "network": recipe.name("backbone") or None,
            "evaluator": evaluators.pop(),
            "evaluator_params": dict(params),
            "protocol": assigned(params, params),
            "epochs": training.get("epochs"),
            "batch_size": training.get("batch_size"),
            "epoch": "last",
            "top1": 100 * line[f"{quality.label}_mean"],
            "std": None if missing(line[f"{quality.label}_std"]) else 100 * line[f"{quality.label}_std"],
            "seeds": line[f"{quality.label}_n"],
            "differs": [],
            "source": None,
            "note": None,
            "params": recipe.params["method"],
        }


def published_line(
    figure: Mapping[str, Any], rows: Sequence[int], measured: Sequence[Mapping[str, Any]], view: View
) -> dict[str, Any]:
    differences = [differing(figure, line) for line in measured if line["evaluator"] == figure["evaluator"]]
    settings = assigned(figure.get("params", {}), figure.get("params", {}))
    return {
        "origin": "published",
        "method": f"{figure['method']} ({settings})" if settings else figure["method"],
        "dataset": figure["dataset"],
        "network": figure["network"],
        "evaluator": figure["evaluator"],
        "evaluator_params": figure.get("evaluator_params"),
        "protocol": figure["protocol"],
        "epochs": figure.get("epochs"),
        "batch_size": figure.get("batch_size"),
        "epoch": figure["epoch"],
        "top1": figure["top1"],
        "std": None,
        "seeds": None,
        "differs": min(differences, key=len, default=["not measured here"]),
        "source": figure["cite"],
        "note": figure.get("note"),
        "params": figure.get("params", {}),
    }


def differing(figure: Mapping[str, Any], line: Mapping[str, Any]) -> list[str]:
    """In what a published figure differs from a measured one, as far as its source says."""
    found = [IN_WORDS.get(name, name) for name in FIELDS if name in figure and figure[name] != line[name]]
    for part, name in ((figure.get("evaluator_params", {}), "evaluator_params"), (figure.get("params", {}), "params")):
        found += [key for key, value in part.items() if line[name].get(key) != value]
    return found


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    sources = sources_of(rows)

    def words(name: str) -> list[str]:
        return [NOTHING if row[name] is None else str(row[name]) for row in rows]

    def figure(row: Mapping[str, Any]) -> str:
        spread = "" if row["std"] is None else f" ± {row['std']:.1f}"
        return f"{row['top1']:.1f}{spread}"

    marks = ["" if row["source"] is None else f" [{sources.index((row['source'], row['note'])) + 1}]" for row in rows]
    return [
        Column("method", words("method")),
        Column("origin", [row["origin"] + mark for row, mark in zip(rows, marks, strict=True)]),
        Column("data set", words("dataset")),
        Column("network", words("network")),
        Column("evaluator", words("evaluator")),
        Column("epochs", words("epochs"), number=True),
        Column("batch", words("batch_size"), number=True),
        Column("epoch", words("epoch")),
        Column("top-1 %", [figure(row) for row in rows], number=True),
        Column("differs in", [", ".join(row["differs"]) for row in rows]),
    ]


def sources_of(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str | None]]:
    return list(dict.fromkeys((row["source"], row["note"]) for row in rows if row["source"]))


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "measured: this folder; epoch: which one was judged; differs in: of what a source says, against the measured"
        " line of the same evaluator that is nearest",
    ]
    for place, (source, note) in enumerate(sources_of(rows), 1):
        protocols = dict.fromkeys(row["protocol"] for row in rows if (row["source"], row["note"]) == (source, note))
        lines.append(f"[{place}] {source}: {'; '.join(protocols)}{f'. {note}' if note else ''}")
    return lines
