from __future__ import annotations

import csv
import io
import json

from sslbench.speed.table import render_speed
from sslbench.store.record import Record


def ratio(cell, names=("full",), **more):
    return {
        "baselines": list(names),
        "cell": cell,
        "ratio": 2.654,
        "low": 2.512,
        "high": 2.7,
        "noise_floor": 0.021,
        "differs": True,
        "flop_bound": 2.9,
        "share_of_bound": 0.915,
        "published": [{"ratio": 2.8, "words": "42.4 h / 15.4 h"}],
        "statement": "3 to 4 times",
        "verdict": "fails: below 3",
        **more,
    }


def row(cell="a", full=False, status="done", against=(), precision="fp32", batch_size=4, size="tiny", **more):
    done = status == "done"
    settings = {"batch_size": batch_size, "precision": precision, "compile": "eager", "image_size": 224}
    speed = {
        **settings,
        "images_per_second": 21.26 if done else None,
        "median_ms": 188.15,
        "iqr_ms": 3.26,
        "p20_ms": 185.0,
        "p80_ms": 190.0,
        "cpu_ms": 180.0,
        "steps": 20,
        "warmup_steps": 11,
        "steady": True,
        "contended": False,
        "first_step_ms": 500.0,
        "compile_ms": None,
        "peak_bytes": 512e6,
        "reserved_bytes": None,
        "flops_per_image": 1.23e10,
        "utilisation": 0.83,
        "patches": [147, 196],
        "device": "cpu",
        "ceilings": {"device": "chip", "threads": 2},
        "end_to_end": None,
        "largest_batch": None,
        "against": list(against),
        "baseline_of": ["full"] if full else [],
        "notes": {"full": "the encoder sees all"},
    }
    data = {
        "cell": cell,
        "kind": "speed",
        "seed": 0,
        "status": status,
        "reason": None if done else "no room",
        "method": "mae",
        "backbone": "vit",
        "masking": "random",
        "mask_ratio": 0.75,
        "augmentation": None,
        "dataset": None,
        "params": {
            "method": {"decoder_depth": 1, "mask_tokens_in_encoder": full},
            "backbone": {"size": size},
            "masking": {"ratio": 0.75},
            "speed": {**settings, "device": "cpu"},
        },
        "speed": {**speed, **more},
    }
    return Record.from_json(data)


ROWS = [row("a", full=True), row("b", against=[ratio("a")])]


def test_what_is_the_same_for_all_is_above_the_table_and_what_differs_in_it():
    text = render_speed(ROWS, "table", "mine")
    title, *_ = text.splitlines()
    assert title == "mine: 224 px · cpu · batch 4 · fp32 · eager · chip · 2 threads · backbone vit"
    assert "mae (mask_tokens_in_encoder)" in text
    for words in ("147/196", "21.3", "188 (3)", "512", "12.3", "83"):
        assert words in text, words
    assert all(len(line) <= 120 for line in text.splitlines())


def test_ratios_stand_beside_their_bound_and_what_was_published():
    text = render_speed(ROWS, "table", "mine")
    for words in ("2.65 (2.51 to 2.70)", "2.90", "92", "2.8 (42.4 h /", "fails: below 3", "3 to 4 times"):
        assert words in text, words
    assert "full: the encoder sees all" in text
    assert "no difference is claimed" in text


def test_a_difference_within_the_noise_is_said_to_be_none():
    rows = [ROWS[0], row("b", against=[ratio("a", differs=False)])]
    assert "2.65 (2.51 to 2.70) no difference" in render_speed(rows, "markdown", "mine")
    assert "no difference" in render_speed(rows, "table", "mine")
    assert "no difference" not in render_speed(ROWS, "csv", "mine")


def test_long_names_are_broken_so_that_a_terminal_can_show_them():
    ratios = [ratio("x", ("like for like", "as in the table"))]
    sizes = {"a": "tiny-with-a-long-name", "b": "small-with-a-longer-name"}
    rows = [row(cell, against=ratios, size=size, batch_size=len(size)) for cell, size in sizes.items()]
    text = render_speed(rows, "table", "mine")
    assert all(len(line) <= 120 for line in text.splitlines())
    assert "small-with-a-longer-name" in text


def test_two_names_of_one_baseline_are_one_line():
    text = render_speed([ROWS[0], row("b", against=[ratio("a", ("like for like", "as in the table"))])], "table", "")
    assert text.count("2.65 (") == 1
    assert "like for like =" in text
    assert "as in the table" in text


def test_without_baselines_there_is_one_table():
    text = render_speed([row("a"), row("b", precision="bf16")], "table", "mine")
    assert "times as fast" not in text
    assert "precision" in text
    assert "bf16" in text


def test_columns_that_nobody_measured_are_not_there():
    text = render_speed(ROWS, "table", "mine")
    assert "end to end" not in text
    assert "largest" not in text
    ends = {"images_per_second": 18.4, "data_wait_share": 0.02, "step_ms_median": 200.0, "step_ms_iqr": 2.0}
    text = render_speed([row(end_to_end=ends, largest_batch={"batch": 213, "how": "tried"})], "table", "mine")
    for words in ("18.4", "2.0", "213", "largest batch: images that fit into memory"):
        assert words in text, words


def test_what_is_unknown_is_a_dash_and_never_zero():
    text = render_speed([row(flops_per_image=None, utilisation=None, peak_bytes=None)], "table", "mine")
    assert text.count(" - ") + text.count(" -\n") >= 3


def test_contention_and_steps_that_did_not_settle_are_reported():
    text = render_speed([row(contended=True), row("b", steady=False)], "table", "mine")
    assert "contended: other programs took cores while 1 of 2 rows were timed" in text
    assert "not steady after warming up: mae" in text


def test_rows_that_were_not_measured_are_named_with_their_reason():
    skipped = row("c", status="skipped", precision="bf16")
    text = render_speed([*ROWS, row("d", status="oom"), skipped], "table", "mine")
    assert "not measured:\n  vit mae random fp32: oom: no room" in text
    assert "  vit mae random bf16: no room" in text


def test_no_row_at_all():
    assert render_speed([], "table", "mine") == "mine: no results"
    assert render_speed([], "csv", "mine") == ""
    assert json.loads(render_speed([], "json", "mine")) == {"schema": 2, "suite": "mine", "records": []}


def test_markdown_has_two_tables():
    text = render_speed(ROWS, "markdown", "mine")
    assert text.count("| ---: |") + text.count("| :--- |") >= 2
    assert "| mae (mask_tokens_in_encoder) |" in text


def test_json_holds_the_records_as_they_are():
    document = json.loads(render_speed(ROWS, "json", "mine"))
    assert (document["schema"], document["suite"]) == (2, "mine")
    assert document["records"] == [record.to_json() for record in ROWS]


def test_csv_has_a_line_for_each_row_and_baseline_unrounded():
    twice = row("b", against=[ratio("a"), ratio("a", ("other",), ratio=5.5)])
    lines = list(csv.DictReader(io.StringIO(render_speed([ROWS[0], twice], "csv", "mine"))))
    assert [(line["against"], line["ratio"]) for line in lines] == [("", ""), ("full", "2.654"), ("other", "5.5")]
    assert lines[0]["median_ms"] == "188.15"
    assert lines[0]["batch_size"] == "4"


def test_a_row_whose_facts_are_damaged_is_named_and_hides_no_other():
    damaged = row("c", median_ms="fast")
    text = render_speed([*ROWS, damaged], "table", "mine")
    assert "mae random: failed: record of cell c: speed: damaged: median_ms is 'fast'; allowed: a finite number" in text
    assert "2.65 (2.51 to 2.70)" in text
    assert "damaged" in render_speed([*ROWS, damaged], "csv", "mine").splitlines()[-1]


def test_a_launch_bound_row_is_told_as_such_and_its_ratios_too():
    rows = [row("a", full=True), row("b", against=[ratio("a", of_launches=True)], launch_bound=True, host_ms=180.0)]
    text = " ".join(render_speed(rows, "table", "mine").split())
    assert "2.65 (2.51 to 2.70) of launches" in " ".join(render_speed(rows, "markdown", "mine").split())
    assert (
        "launch-bound: mae: the host takes 90% of the step or more to launch it, and the device waits; their ratios are"
        " those of launches, not of the device's work (more images a step, or --compile cuda-graphs)" in text
    )
    assert "launch" not in render_speed(ROWS, "table", "mine")
    first, second = csv.DictReader(io.StringIO(render_speed(rows, "csv", "mine")))
    assert (first["launch_bound"], second["launch_bound"], second["of_launches"]) == ("", "True", "True")
