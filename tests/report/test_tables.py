from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from sslbench.report.screen import WIDTH
from sslbench.report.tables import render
from sslbench.store.record import Record
from tests.report.conftest import TRAINING


def grid(text):
    """The rows of a terminal table as lists of cells, cut where the rule under the headers has blanks."""
    lines = [*text.split("\n"), ""]
    rule = next(place for place, line in enumerate(lines) if re.fullmatch(r"-+( +-+)+", line))
    spans = [match.span() for match in re.finditer("-+", lines[rule])]
    rows = lines[rule + 1 : lines.index("", rule)]
    first = rule
    while lines[first - 1]:
        first -= 1
    heads = [" ".join(filter(None, (line[a:b].strip() for line in lines[first:rule]))) for a, b in spans]
    heads = [head.replace("/ ", "/") for head in heads]
    return [dict(zip(heads, (line[a:b].strip() for a, b in spans), strict=True)) for line in rows]


def detailed(records, folder=None):
    """All columns, and what each means."""
    return render(records, "table", "quick", folder, details=True)


def markdown_rows(text):
    lines = [line for line in text.split("\n") if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


@pytest.fixture
def records(record, metric):
    """Two seeds of two methods, and a baseline without training."""
    speed = {"images_per_second": 4321.0, "step_ms_median": 29.63, "step_ms_iqr": 1.24, "data_wait_share": 0.0034}
    speed |= {"peak_memory_bytes": 512_300_000, "flops_per_image": 12_340_000.0, "seconds": 85.27}
    few = metric(0.5, std=0.0421, n=5)
    return [
        record(seed=0, metrics={"knn_top1": 0.950}, pretraining=speed, features={"images_per_second": 12345.0}),
        record(seed=1, metrics={"knn_top1": 0.956}, pretraining=speed, features={"images_per_second": 12345.0}),
        record("byol", seed=0, metrics={"knn_top1": 0.951}),
        record("byol", seed=1, metrics={"knn_top1": 0.949}),
        record("raw-pixels", augmentation=None, backbone=None, metrics={"knn_top1": 0.8}),
        record("raw-pixels", augmentation=None, backbone=None, evaluator="few-label", metrics={"few@2": few}),
    ]


def test_a_row_has_quality_and_speed(records):
    best, second, last = grid(detailed(records))
    assert best == {
        "method": "simclr",
        "knn_top1": "*0.953 ± 0.004",
        "few@2": "-",
        "img/s": "4321",
        "step ms (IQR)": "29.6 (1.2)",
        "wait %": "0.3",
        "peak MB": "512",
        "MFLOP/img": "12.3",
        "train s": "85.3",
        "embed img/s": "12345",
        "status": "2 done",
    }
    assert (second["method"], second["knn_top1"], second["img/s"]) == ("byol", "=0.950 ± 0.001", "-")
    assert (last["method"], last["knn_top1"], last["few@2"]) == ("raw-pixels", "=0.800", "0.500 ± 0.042d")


def trained(record, epochs, method="simclr"):
    params = {"training": {**TRAINING, "epochs": epochs}}
    return record(method, params=params, pretraining={"epochs": epochs, "steps": 11 * epochs, "batch_size": 128})


def test_a_row_of_other_epochs_says_its_own_and_the_title_those_of_the_others(record):
    records = [trained(record, 8), trained(record, 16, "mae"), trained(record, 8, "byol")]
    text = render([*records, record("random-init", augmentation=None)], "table", "s")
    assert " · 8 epochs unless a row says others · batch 128 · 11 steps an epoch · " in " ".join(text.split())
    assert {row["method"] for row in grid(text)} == {"simclr", "mae (epochs=16)", "byol", "random-init"}
    assert "training" not in grid(text)[0]


def test_rows_of_one_method_say_their_epochs_beside_what_else_tells_them_apart(record):
    methods = [{"method": {"lr": lr}, "training": {**TRAINING, "epochs": epochs}} for lr, epochs in ((1, 8), (2, 4))]
    text = render([record(params=params) for params in (*methods, methods[0])], "markdown", "s")
    assert {row["method"] for row in markdown_rows(text)} == {"simclr (lr=1)", "simclr (lr=2, epochs=4)"}


def test_epochs_that_all_rows_share_are_said_once(record):
    text = render([trained(record, 16, "mae"), trained(record, 16)], "table", "s")
    assert " · 16 epochs · batch 128 · 11 steps an epoch, 176 in all · " in " ".join(text.split())
    assert {row["method"] for row in grid(text)} == {"mae", "simclr"}


def test_the_legend_says_what_the_signs_mean(records):
    lines = detailed(records).split("\n")
    assert "±: standard deviation over 2 seeds" in lines
    assert "± with a d: one seed; standard deviation over 5 draws inside the evaluator" in lines
    assert "*: best of its column on a data set" in lines
    text = " ".join(line.strip() for line in lines)
    assert (
        "=: not told apart from the best (a t-test over the seeds that both have, with the deviation of all rows"
        in text
    )
    assert "corrected for all pairs; untested, for the metric of each image is not kept or the images" in text
    assert "two seeds tell hardly anything apart: run more" in text
    assert "knn_top1, few@2: higher is better" in lines
    assert "img/s: source images per second of training, waiting for data included" in lines


def test_speeds_that_were_measured_beside_others_are_called_so(record):
    line = "speeds: up to 4 pretrainings shared a device; one that has it for itself is faster"
    alone, beside = record("simclr", pretraining={"at_once": 1}), record("byol", pretraining={"at_once": 4})
    assert line in render([alone, beside], "table", "quick").replace("\n    ", " ")
    assert "speeds:" not in render([alone, record("byol")], "table", "quick")


def test_what_is_the_same_everywhere_stands_above_the_table(records):
    text = render(records, "table", "quick")
    assert text.split("\n\n")[1].replace("\n   ", "") == (
        "quick: digits · seeds 0, 1 · 20 epochs · batch 128 · at most 10,000 training images · cpu · fp32"
        " · augmentation affine · backbone convnet-small"
    )
    (row, *_) = grid(text)
    assert not {"dataset", "augmentation", "masking", "backbone", "seed"} & row.keys()


def test_one_epoch_is_singular(record):
    shorter = {**record().params["training"], "epochs": 1}
    assert " · 1 epoch · " in render([record(params={"training": shorter})], "table", "s")


def test_what_differs_is_a_column(record):
    rows = grid(
        render(
            [
                record(metrics={"knn_top1": 0.9}),
                record(metrics={"knn_top1": 0.8}, dataset="cifar10"),
                record(metrics={"knn_top1": 0.7}, augmentation="none"),
                record("mae", metrics={"knn_top1": 0.6}, masking="random", mask_ratio=0.75),
                record("mae", metrics={"knn_top1": 0.5}, masking="random", mask_ratio=0.5),
            ],
            "table",
            "s",
        )
    )
    found = [(row["dataset"], row["method"], row["augmentation"], row["masking"]) for row in rows]
    assert found == [
        ("cifar10", "simclr", "affine", "-"),
        ("digits", "simclr", "affine", "-"),
        ("digits", "simclr", "none", "-"),
        ("digits", "mae", "affine", "random (ratio=0.75)"),
        ("digits", "mae", "affine", "random (ratio=0.5)"),
    ]


def test_parameters_that_differ_are_beside_the_name(record):
    smaller = {**record().params["training"], "batch_size": 64}
    rows = grid(
        render(
            [
                record(params={"method": {"temperature": 0.1}}, metrics={"knn_top1": 0.9}),
                record(params={"method": {"temperature": 0.5}}, metrics={"knn_top1": 0.8}),
                record(params={"method": {"temperature": 0.5}, "training": smaller}, metrics={"knn_top1": 0.7}),
            ],
            "table",
            "s",
        )
    )
    assert [(row["method"], row["training"]) for row in rows] == [
        ("simclr (temperature=0.1)", "batch_size=128"),
        ("simclr (temperature=0.5)", "batch_size=128"),
        ("simclr (temperature=0.5)", "batch_size=64"),
    ]


def test_the_best_of_each_data_set_is_marked_and_what_is_a_tie_with_it(record):
    values = {"a": (0.92, 0.94, 0.93), "b": (0.93, 0.92, 0.93), "c": (0.80, 0.81, 0.80)}
    records = [
        record(method, seed=seed, dataset=dataset, metrics={"knn_top1": value - shift})
        for dataset, shift in (("one", 0.0), ("two", 0.1))
        for method, many in values.items()
        for seed, value in enumerate(many)
    ]
    rows = grid(render(records, "table", "s"))
    # a - b: -0.01, 0.02, 0; a - c: 0.12, 0.13, 0.13, of which p is 0.0007
    marks = [(row["dataset"], row["method"], row["knn_top1"][0]) for row in rows]
    assert marks == [(name, *mark) for name in ("one", "two") for mark in (("a", "*"), ("b", "="), ("c", "0"))]


def test_the_lowest_is_best_where_lower_is_better(record, metric):
    values = {"a": 3.0, "b": 1.0, "c": 2.0}
    records = [record(m, metrics={"loss": metric(v, "nat", higher=False)}) for m, v in values.items()]
    rows = grid(render(records, "table", "s"))
    assert [row["method"] for row in rows] == ["b", "c", "a"]
    assert [row["loss"] for row in rows] == ["*1.000", "=2.000", "=3.000"]
    text = render([record(metrics={"loss": metric(1.0, "nat", higher=False)})], "table", "s")
    assert "loss [nat]: lower is better" in text


def test_a_single_row_is_not_called_the_best(record):
    text = render([record()], "table", "s")
    assert grid(text)[0]["knn_top1"] == "0.900"
    assert "best" not in text


def test_markdown_has_the_same_in_bold(records):
    text = render(records, "markdown", "quick")
    best, second, last = markdown_rows(text)
    assert best["knn_top1"] == "**0.953 ± 0.004**"
    assert second["knn_top1"] == "*0.950 ± 0.001*"
    assert (last["knn_top1"], last["few@2"], last["img/s"]) == ("*0.800*", "0.500 ± 0.042d", "-")
    assert best["step ms (IQR)"] == "29.6 (1.2)"
    assert "- bold: best of its column" in text
    assert "- italic: not told apart from the best" in text


def test_csv_has_the_numbers_unrounded(records):
    rows = list(csv.DictReader(io.StringIO(render(records, "csv", "quick"))))
    assert [row["method"] for row in rows] == ["simclr", "byol", "raw-pixels"]
    first, _, last = rows
    assert float(first["knn_top1_mean"]) == pytest.approx(0.953, abs=1e-15)
    assert float(first["knn_top1_std"]) == pytest.approx(math.sqrt(2) * 0.003, abs=1e-12)
    # 12.706 is the 97.5% quantile of Student's t with one degree of freedom
    assert float(first["knn_top1_low"]) == pytest.approx(0.953 - 12.7062 * 0.003, abs=1e-6)
    assert float(first["knn_top1_high"]) == pytest.approx(0.953 + 12.7062 * 0.003, abs=1e-6)
    assert (first["knn_top1_n"], first["seeds"], first["status"]) == ("2", "2", "2 done")
    assert (first["step_ms_median_mean"], first["flops_per_image_mean"]) == ("29.63", "12340000.0")
    assert (last["backbone"], last["knn_top1_std"], last["images_per_second_mean"]) == ("", "", "")
    assert (last["knn_top1_low"], last["knn_top1_high"]) == ("", "")
    assert (last["few@2_draws_std"], last["few@2_draws_n"]) == ("0.0421", "5")


def test_json_has_the_records_as_they_are(records):
    document = json.loads(render(records, "json", "quick"))
    assert document == {"schema": 2, "suite": "quick", "records": [record.to_json() for record in records]}
    assert [Record.from_json(data) for data in document["records"]] == records
    assert list(document) == ["schema", "suite", "records"]


def test_json_never_has_a_number_that_json_does_not_know(record):
    text = render([record(metrics={"knn_top1": math.nan})], "json", "quick")
    (found,) = json.loads(text, parse_constant=pytest.fail)["records"]
    assert found["metrics"]["knn_top1"]["value"] is None


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2, 3, 4)])
def test_the_default_suite_fits_a_terminal_with_every_value_whole(default_suite, seeds):
    records = default_suite(seeds)
    text = detailed(records)
    assert max(map(len, text.split("\n"))) <= WIDTH == 120
    rows = grid(text)
    assert len(rows) == 8
    few = [f"few_label top1@{n}" for n in (2, 13)]
    assert {"knn_top1", "knn top1"} & rows[0].keys()
    speeds = {"img/s", "step ms (IQR)", "wait %", "peak MB", "MFLOP/img", "train s", "embed img/s"}
    assert {*few, *speeds} <= rows[0].keys()
    value = re.compile(r"[*=]?\d?\.\d{3}(±\.\d{3}d?)?")
    assert all(value.fullmatch(row[name]) for row in rows for name in few)
    assert all(re.fullmatch(r"\d{3}\(\d+\)|-", row["step ms (IQR)"]) for row in rows)
    assert {row["backbone"] for row in rows} == {"convnet-small", "vit-tiny-small-image", "-"}
    names = {row.get("method") or row["method masking"] for row in rows}
    assert names >= {"simclr", "random-init", "raw-pixels"}


def test_what_went_wrong_in_the_default_suite_still_fits(default_suite):
    gone = {"status": "diverged", "reason": "the loss is nan at step 17 of 220", "metrics": {}}
    records = [
        replace(record, **gone) if record.masking == "grid" and record.status == "done" else record
        for record in default_suite((0,))
    ]
    text = render(records, "table", "quick")
    assert max(map(len, text.split("\n"))) <= WIDTH
    assert "not done:\n  mae grid vit-tiny-small-image, seed 0: diverged: the loss is nan at step 17 of 220" in text
    assert "1 diverged" in text


def test_a_table_with_too_many_metrics_is_cut_into_several_with_the_same_rows(record):
    names = [f"readable_factor_{place}" for place in range(14)]
    records = [
        record(method, seed, metrics=dict.fromkeys(names, value + 0.01 * seed))
        for method, value in (("simclr", 0.5), ("byol", 0.4))
        for seed in range(2)
    ]
    text = render(records, "table", "s")
    assert max(map(len, text.split("\n"))) <= WIDTH
    parts = [part for part in text.split("\n\n") if re.search(r"^simclr ", part, flags=re.MULTILINE)]
    assert len(parts) > 1
    tables = [grid(f"\n{part}\n") for part in parts]
    assert all([row["method"] for row in table] == ["simclr", "byol"] for table in tables)
    columns = [head for table in tables for head in table[0] if head != "method"]
    assert {head.replace(" ", "_") for head in columns} >= set(names)
    assert len(columns) == len(set(columns))


def test_a_narrow_table_is_roomy(records):
    assert "0.953 ± 0.004" in detailed(records)


def test_below_the_table_is_what_is_not_in_it(record, metric):
    why = "fewer than 13 images of a class"
    text = render(
        [
            record(metrics={"knn_top1": 0.9}, pretraining={"images_skipped": 3}),
            record(seed=1, status="oom", reason="CUDA out of memory\nmore", metrics={}),
            record(evaluator="few-label", metrics={"few@2": 0.5, "few@13": metric(None, reason=why)}),
            record("mae", status="skipped", reason="no tokens", metrics={}),
            record("mae", seed=1, status="skipped", reason="no tokens", metrics={}),
            record(metrics={"knn_top1": 0.1}, time="2020-01-01T00:00:00+00:00"),
        ],
        "table",
        "s",
    )
    assert "not done:\n  simclr, seed 1, knn: oom: CUDA out of memory\n" in text
    assert f"not measured:\n  few@13, 1 cell: {why}\n" in text
    assert "skipped:\n  2 cells: no tokens\n" in text
    assert "left out:\n  3 unreadable images of digits\n  1 records of cells that were made again later" in text
    assert grid(text)[0]["status"] == "1 done, 1 oom"


@pytest.mark.parametrize("fmt", ["table", "markdown"])
def test_no_results_are_reported_in_words(record, fmt):
    lead = "**There are no results{}.**" if fmt == "markdown" else "There are no results{}."
    assert render([], fmt, "quick") == f"{lead.format('')}\n\nquick: no results"
    text = render([record(status="skipped", reason="no tokens", metrics={})], fmt, "")
    assert text.startswith(lead.format(": 1 cell of plugins that do not work together") + "\n\nno results\n\n")
    assert "1 cell: no tokens" in text


def test_no_results_are_a_header_in_csv_and_an_empty_list_in_json():
    assert render([], "csv", "quick") == "dataset,method,augmentation,masking,mask_ratio,backbone,seeds,status"
    assert json.loads(render([], "json", "quick")) == {"schema": 2, "suite": "quick", "records": []}


def test_no_format_ends_in_a_newline(records):
    assert not any(render(records, fmt, "quick").endswith("\n") for fmt in ("table", "markdown", "csv", "json"))


def test_reports_import_neither_torch_nor_the_plugin_machinery_and_json_not_even_pandas():
    code = (
        "import sys; from sslbench.report.tables import render;"
        "render([], 'json', ''); print([m for m in ('pandas', 'torch') if m in sys.modules]);"
        "render([], 'table', '');"
        "print([m for m in ('torch', 'pydantic', 'click', 'pluggy', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"


@pytest.fixture
def crowded(record):
    """Two methods evaluated by k-NN, and by an evaluator with five metrics that says which one counts."""
    records = []
    for method, shift in (("simclr", 0.0), ("byol", 0.1)):
        names = ("hue", "kind", "mean", "size", "turn")
        many = {f"readable_{name}": 0.1 * place + shift for place, name in enumerate(names, 1)}
        records.append(record(method, metrics={"knn_top1": 0.9 - shift}))
        records.append(replace(record(method, evaluator="invariance", metrics=many), headline="readable_mean"))
    return records


def blocks(text):
    """The parts of a rendering that have a rule under their headers: the main table, and those of evaluators."""
    return [part for part in text.split("\n\n") if re.search(r"^-+( +-+)+$", part, flags=re.MULTILINE)]


def test_an_evaluator_with_many_metrics_has_its_headline_in_the_table_and_a_table_of_its_own(crowded):
    main, own = blocks(detailed(crowded))
    rows = grid(main + "\n\n")
    assert [row["readable_mean"] for row in rows] == ["=0.300", "*0.400"]
    assert not any("readable_hue" in row for row in rows)
    assert own.startswith("invariance:\n")
    rows = grid(own.partition("\n")[2].join(["\n", "\n\n"]))
    assert [(row["method"], row["readable_hue"], row["readable_turn"]) for row in rows] == [
        ("simclr", "=0.100", "=0.500"),
        ("byol", "*0.200", "*0.600"),
    ]
    assert "img/s" not in own


def test_few_metrics_or_no_known_headline_stay_in_the_main_table(crowded):
    unknown = [replace(record, headline=None) for record in crowded]
    assert len(blocks(detailed(unknown))) == 1
    few = [
        replace(record, metrics=dict(sorted(record.metrics.items(), key=lambda item: "mean" not in item[0])[:3]))
        for record in crowded
    ]
    assert len(blocks(detailed(few))) == 1


def test_two_settings_of_an_evaluator_have_a_table_each(crowded):
    settings = []
    for record in crowded:
        for views in (2, 8) if record.evaluator == "invariance" else (0,):
            params = {**record.params, "evaluator": {"views": views}}
            settings.append(replace(record, params=params))
    titles = [part.partition("\n")[0] for part in blocks(detailed(settings))[1:]]
    assert titles == ["invariance (views=2):", "invariance (views=8):"]


def test_markdown_has_the_second_table_and_csv_all_in_one(crowded):
    text = render(crowded, "markdown", "s")
    assert text.count("| :--- |") == 2
    assert "\n\n**invariance**\n\n| method | readable_hue |" in text
    header = render(crowded, "csv", "s").split("\n")[0].split(",")
    assert {"readable_hue_mean", "readable_mean_mean", "knn_top1_mean"} <= set(header)


def test_where_neither_is_better_no_row_is_the_best(record, metric):
    values = {"simclr": 1.1, "byol": 0.4}
    records = [record(name, metrics={"alpha_req": metric(value, higher=None)}) for name, value in values.items()]
    text = render(records, "table", "s")
    assert "alpha_req: neither is better" in text
    assert "*" not in text.partition("alpha_req: neither")[0]
