from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from sslbench.errors import UserError
from sslbench.report.compare.comparison import compare
from sslbench.report.compare.sides import Side, load_side
from sslbench.report.compare.table import render_comparison
from sslbench.report.screen import WIDTH
from sslbench.store.results import ResultsStore

NOISE = np.random.default_rng(0).normal(0, 0.3, (2, 200))


def change_of(comparison, quantity):
    (change,) = [change for change in comparison.changes if change.quantity == quantity]
    return change


def verdicts(comparison):
    return {change.quantity: change.verdict for change in comparison.changes}


def over_seeds(record, *values, **facts):
    return [record(seed=seed, metrics={"knn_top1": value}, **facts) for seed, value in enumerate(values)]


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ((0.90, 0.91, 0.92), "tie"),
        ((0.91, 0.90, 0.93), "tie"),
        ((0.80, 0.81, 0.82), "worse"),
        ((0.97, 0.98, 0.99), "better"),
    ],
)
def test_what_moved_beyond_the_spread_over_seeds(record, after, verdict):
    comparison = compare(Side("a", over_seeds(record, 0.90, 0.91, 0.92)), Side("b", over_seeds(record, *after)))
    change = change_of(comparison, "knn_top1")
    assert (change.verdict, change.over, change.seeds) == (verdict, "seeds", (0, 1, 2))
    assert change.relative == pytest.approx(sum(after) / 2.73 - 1)


def test_a_metric_where_less_is_better_gets_better_by_falling(record, metric):
    sides = [
        Side("x", [record(seed=s, metrics={"error": metric(v + s / 100, higher=False)}) for s in range(3)])
        for v in (0.5, 0.2)
    ]
    assert verdicts(compare(*sides)) == {"error": "better"}
    assert verdicts(compare(*reversed(sides))) == {"error": "worse"}


def test_a_metric_where_neither_is_better_moves_and_has_no_limit(record, metric):
    sides = [
        Side("x", [record(seed=s, metrics={"alpha": metric(v + s / 100, higher=None)}) for s in range(3)])
        for v in (0.5, 0.2)
    ]
    moved = compare(*sides)
    assert verdicts(moved) == {"alpha": "moved"}
    assert "1 is other in B, and neither way is better" in render_comparison(moved, "table")
    with pytest.raises(UserError, match="unknown quantity 'alpha'"):
        compare(*sides, ["alpha:5%"])


def test_of_one_seed_the_draws_are_the_spread_and_without_them_nothing_is_claimed(record, metric):
    def side(value):
        return [record(metrics={"few@2": metric(value, std=0.02, n=5), "knn_top1": value})]

    near = compare(Side("a", side(0.50)), Side("b", side(0.49)))
    assert verdicts(near) == {"few@2": "tie", "knn_top1": "unsure"}
    far = compare(Side("a", side(0.50)), Side("b", side(0.40)))
    assert verdicts(far) == {"few@2": "worse", "knn_top1": "unsure"}
    assert (change_of(far, "few@2").over, change_of(far, "knn_top1").over) == ("draws", None)
    assert verdicts(compare(Side("a", side(0.5)), Side("b", side(0.5)))) == {"few@2": "tie", "knn_top1": "tie"}


def speed_side(record, ms, noise, name):
    """One pretraining whose steps take ``ms``; the first ten are warm-up and twice as long."""
    steps = [2 * ms] * 10 + list(ms + noise)
    facts = {
        "steps": len(steps),
        "step_ms_median": float(np.median(steps[10:])),
        "step_ms_iqr": 0.4,
        "images_per_second": 32_000 / float(np.mean(steps[10:])),
        "peak_memory_bytes": 500_000_000,
        "flops_per_image": 1e7,
    }
    made = record(pretraining=facts, features={"images_per_second": 9000.0})
    return Side(name, [made], {made.pretraining.key: steps})


def test_of_one_seed_raw_steps_are_the_spread_of_a_speed(record):
    same = compare(speed_side(record, 20, NOISE[0], "a"), speed_side(record, 20, NOISE[1], "b"))
    speeds = ("images_per_second", "step_ms_median")
    assert [change_of(same, quantity).verdict for quantity in speeds] == ["tie", "tie"]
    slower = compare(speed_side(record, 20, NOISE[0], "a"), speed_side(record, 21, NOISE[1], "b"))
    for quantity, moved in zip(speeds, (1 / 1.05 - 1, 0.05), strict=True):
        change = change_of(slower, quantity)
        assert (change.verdict, change.over) == ("worse", "steps")
        assert change.relative == pytest.approx(moved, abs=0.004)
        assert change.interval.low < change.relative < change.interval.high
        assert change.interval.high - change.interval.low < 0.02
    assert change_of(slower, "peak_memory_bytes").verdict == "tie"
    assert change_of(slower, "flops_per_image").over == "exact"


def test_without_raw_steps_their_iqr_serves(record):
    a, b = (Side("x", speed_side(record, ms, NOISE[0], "x").records) for ms in (20, 21))
    change = change_of(compare(a, b), "step_ms_median")
    # 0.4 / 20 * 1.25 / 1.35 / sqrt(210) on each side, 1.96 of both together
    assert change.over == "IQR"
    assert change.interval.high - change.relative == pytest.approx(
        1.96 * 0.92593 * 0.4 / 14.4914 * np.hypot(1 / 20, 1 / 21), rel=2e-3
    )
    assert change.verdict == "worse"


def test_what_is_counted_moves_without_a_spread(record):
    sides = [Side("x", [record(pretraining={"flops_per_image": flops})]) for flops in (1e7, 1.01e7)]
    assert change_of(compare(*sides), "flops_per_image").verdict == "worse"


def test_cells_are_paired_by_axes_parameters_and_seed(record):
    a = [record(seed=0), record(seed=1), record("byol"), record(params={"method": {"temperature": 0.1}})]
    b = [record(seed=1), record(seed=2), record("byol", backbone="resnet18-cifar")]
    comparison = compare(Side("a", a), Side("b", b))
    assert [(change.recipe, change.seeds) for change in comparison.changes] == [("simclr · convnet-small", (1,))]
    one_sided = {(change.side, change.recipe): (change.seeds, change.reason) for change in comparison.one_sided}
    assert one_sided == {
        ("A", "simclr · convnet-small"): ((0,), None),
        ("B", "simclr · convnet-small"): ((2,), None),
        ("A", "byol · convnet-small"): ((0,), None),
        ("A", "simclr (temperature=0.1) · convnet-small"): ((0,), None),
        ("B", "byol · resnet18-cifar"): ((0,), None),
    }


def test_a_cell_that_failed_on_one_side_says_so(record):
    a = [record(seed=0), record(seed=1)]
    b = [record(seed=0), record(seed=1, status="diverged", reason="loss was nan\nmore", metrics={})]
    (one_sided,) = compare(Side("a", a), Side("b", b)).one_sided
    assert (one_sided.side, one_sided.quantities, one_sided.seeds, one_sided.reason) == (
        "A",
        ("knn_top1",),
        (1,),
        "diverged: loss was nan",
    )


def test_records_of_older_code_do_not_count(record):
    old = record(metrics={"knn_top1": 0.1}, time="2025-01-01T00:00:00+00:00")
    comparison = compare(Side("a", [record(), old]), Side("b", [record()]))
    assert change_of(comparison, "knn_top1").before == 0.9


@pytest.mark.parametrize(
    ("across", "pairs"), [([], 0), (["training.precision"], 1), (["training.precision", "backbone"], 1)]
)
def test_across_lets_a_pair_differ(record, across, pairs):
    fast = {"training": {"precision": "bf16"}}
    comparison = compare(
        Side("a", [record(params={"training": {"precision": "fp32"}})]), Side("b", [record(params=fast)]), across=across
    )
    assert len(comparison.changes) == pairs
    assert {change.recipe for change in comparison.changes} <= {"simclr"}


def test_across_the_mask_ratio(record):
    a, b = (record("mae", masking="random", mask_ratio=ratio) for ratio in (0.5, 0.75))
    comparison = compare(Side("a", [a]), Side("b", [b]), across=["mask_ratio"])
    assert [change.recipe for change in comparison.changes] == ["mae"]


@pytest.mark.parametrize(
    ("across", "words"),
    [
        (["training.precison"], r"--across 'training.precison': no axis or parameter of these results; did you mean"),
        (["method"], r"--across method: several recipes of A differ in nothing else"),
    ],
)
def test_mistakes_with_across(record, across, words):
    side = Side("x", [record(), record("byol"), record(params={"training": {"precision": "fp32"}})])
    with pytest.raises(UserError, match=words):
        compare(side, side, across=across)


def slower_rate(record, share, seeds=3):
    return [
        record(seed=seed, pretraining={"images_per_second": (1000 + seed) / share, "step_ms_median": 10.0 * share})
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("share", "limit", "crossed"),
    [
        (1.0, "images_per_second:0%", False),
        (1.06, "images_per_second:5%", True),
        (1.06, "step_ms_median:5%", True),
        (1.04, "images_per_second:5%", False),
        (1.051, "images_per_second:5%", True),
        (0.5, "images_per_second:5%", False),
        (0.5, "step_ms_median:5%", False),
    ],
)
def test_a_limit_is_crossed_beyond_it_and_beyond_the_spread(record, share, limit, crossed):
    comparison = compare(Side("a", slower_rate(record, 1.0)), Side("b", slower_rate(record, share)), [limit])
    assert bool(comparison.exceeded) == crossed


def test_within_the_spread_no_limit_is_crossed(record):
    a, b = over_seeds(record, 0.80, 0.90, 0.95), over_seeds(record, 0.78, 0.84, 0.93)
    assert compare(Side("a", a), Side("b", b), ["knn_top1:1%"]).exceeded == ()


def test_the_line_of_a_crossed_limit(record):
    a, b = over_seeds(record, 0.90, 0.91, 0.92), over_seeds(record, 0.80, 0.81, 0.82)
    (line,) = compare(Side("a", a), Side("b", b), ["knn_top1:1%"]).exceeded
    assert line == "simclr: knn_top1 0.91 -> 0.81, 11.0% worse, 95%: -13.5 to -8.5%, 3 seeds (limit knn_top1:1%)"


def test_without_a_spread_the_limit_alone_decides(record):
    a, b = over_seeds(record, 0.90), over_seeds(record, 0.85)
    (line,) = compare(Side("a", a), Side("b", b), ["knn_top1:1%"]).exceeded
    assert line == "simclr: knn_top1 0.9 -> 0.85, 5.6% worse, no spread known (limit knn_top1:1%)"


def test_a_cell_that_failed_and_nothing_in_common_cross_a_limit(record):
    failed = record(status="failed", reason="no memory", metrics={})
    (line,) = compare(Side("a", [record()]), Side("b", [failed]), ["knn_top1:50%"]).exceeded
    assert line == "simclr: knn_top1 of seed 0 is in A, and in B failed: no memory (limit knn_top1:50%)"
    (line,) = compare(Side("a", [record()]), Side("b", [record(seed=1)]), ["knn_top1:50%"]).exceeded
    assert line == "knn_top1: no cell of A and B has measured it in both (limit knn_top1:50%)"


def test_a_limit_on_a_name_holds_for_each_evaluator_that_has_it(record):
    def side(value):
        return [record(evaluator="knn", metrics={"top1": value}, params={"evaluator": {"k": k}}) for k in (5, 20)]

    comparison = compare(Side("a", side(0.9)), Side("b", side(0.8)), ["top1:1%"])
    assert [line.split(" 0.9")[0] for line in comparison.exceeded] == ["simclr: top1 (k=5)", "simclr: top1 (k=20)"]


def test_unknown_quantities_are_named_with_the_allowed_ones(record):
    side = Side("x", [record()])
    words = (
        r"--fail-on 'knn_top:1%': unknown quantity 'knn_top'; did you mean 'knn_top1'\? \(allowed: images_per_second,"
    )
    with pytest.raises(UserError, match=words):
        compare(side, side, ["knn_top:1%"])


def test_a_value_of_nothing_has_no_share_but_a_direction(record):
    comparison = compare(Side("a", over_seeds(record, 0.0, 0.0)), Side("b", over_seeds(record, 0.5, 0.51)))
    change = change_of(comparison, "knn_top1")
    assert (change.verdict, change.relative) == ("better", None)
    assert json.loads(render_comparison(comparison, "json"))["changes"][0]["high"] is None


@pytest.fixture
def mixed(record):
    """Something worse, a tie, something of one side only, and another machine."""
    facts = {
        "images_per_second": 1000.0,
        "step_ms_median": 32.0,
        "peak_memory_bytes": 500_000_000,
        "flops_per_image": 1e7,
    }
    a = [*over_seeds(record, 0.90, 0.91, 0.92, pretraining=facts), record("byol")]
    b = over_seeds(record, 0.80, 0.81, 0.82, pretraining=facts)
    for side, processor in ((a, "Abacus 1"), (b, "Abacus 2")):
        machine = {"processor": processor, "gpu": None, "torch": "2.14.1"}
        side[:] = [replace(made, provenance={**made.provenance, **machine}) for made in side]
    return compare(Side("old", a), Side("new", b), ["knn_top1:1%"])


def test_the_table(mixed):
    text = render_comparison(mixed, "table")
    assert max(map(len, text.split("\n"))) <= WIDTH
    lines = text.split("\n")
    assert text.split("\n\n")[:2] == [
        "Of 5 measured changes 1 is worse in B, most of all knn_top1 of simclr -11.0%; 4 are within the spread.",
        "A old · B new",
    ]
    first = next(line for line in lines if line.startswith("simclr"))
    assert first.split() == "simclr knn_top1 0.91 0.81 -11.0 -13.5 to -8.5% 3 seeds worse".split()
    assert "  byol, seed 0: knn_top1 (in B: no such cell was run)" in lines
    assert "  processor: Abacus 1 in A, Abacus 2 in B" in lines
    assert not any("gpu:" in line or "torch:" in line for line in lines)
    assert lines[-1].strip().endswith("(limit knn_top1:1%)")


def test_markdown_has_the_same_rows(mixed):
    rows = [line for line in render_comparison(mixed, "markdown").split("\n") if line.startswith("| simclr")]
    assert len(rows) == 5
    assert rows[0] == "| simclr | knn_top1 | 0.91 | 0.81 | -11.0 | -13.5 to -8.5% | 3 seeds | worse |"


def test_csv_is_unrounded(mixed):
    rows = list(csv.DictReader(io.StringIO(render_comparison(mixed, "csv"))))
    assert {row["quantity"]: row["verdict"] for row in rows}["knn_top1"] == "worse"
    (knn,) = (row for row in rows if row["quantity"] == "knn_top1")
    assert float(knn["change"]) == pytest.approx(0.81 / 0.91 - 1, rel=1e-12)
    assert knn["seeds"] == "0 1 2"


def test_json_has_everything(mixed):
    comparison = json.loads(render_comparison(mixed, "json"))
    assert {"schema", "a", "b", "differences", "changes", "only", "machines", "limits", "exceeded"} == set(comparison)
    assert comparison["only"] == [
        {"side": "A", "recipe": "byol", "quantities": ["knn_top1"], "seeds": [0], "reason": None}
    ]
    assert comparison["limits"] == ["knn_top1:1%"]
    assert len(comparison["exceeded"]) == 1
    assert comparison["changes"][0]["method"] == "simclr"


def test_nothing_in_common_is_reported(record):
    comparison = compare(Side("a", [record()]), Side("b", [record("byol")]))
    assert render_comparison(comparison, "table").startswith("Nothing is measured in both.\n\nA a · B b\n")
    assert render_comparison(comparison, "markdown").startswith("**Nothing is measured in both.**\n\nA a · B b\n")


def test_what_chance_alone_moves_is_said_of_many_comparisons(record):
    names = [f"m{place}" for place in range(40)]
    a, b = (
        [record(seed=seed, metrics=dict.fromkeys(names, 0.5 + seed / 100 + shift)) for seed in range(3)]
        for shift in (0.0, 0.001)
    )
    text = " ".join(render_comparison(compare(Side("a", a), Side("b", b)), "table").split())
    assert text.startswith(
        "Of 40 measured changes none is worse in B; 40 are within the spread; chance alone moves about 2."
    )


def test_a_side_that_is_nowhere_worse_is_said_to_be_so(record):
    a, b = over_seeds(record, 0.80, 0.81, 0.82), over_seeds(record, 0.90, 0.91, 0.92)
    text = render_comparison(compare(Side("a", a), Side("b", b)), "table")
    assert text.startswith(
        "Of 1 measured change none is worse in B; 1 is better in B, most of all knn_top1 of simclr +12.3%.\n"
    )


def test_a_folder_its_json_and_saved_speeds_are_sides(record, tmp_path):
    from sslbench.report.tables import render

    item = record(pretraining={"images_per_second": 10.0})
    with ResultsStore.open_for_writing(tmp_path / "run") as store:
        store.put(item, suite="quick", description="d", inputs={})
        store.put_steps(item.pretraining.key, [1.0, 2.0])
    folder = load_side(tmp_path / "run")
    assert (folder.records, folder.steps) == ([item], {item.pretraining.key: [1.0, 2.0]})
    (tmp_path / "run.json").write_text(render([item], "json", "quick"))
    assert load_side(tmp_path / "run.json").records == [item]


def speed_row(record, ms, ratio):
    """As ``sslbench speed`` keeps it."""
    item = record("mae", evaluator=None, metrics={}, pretraining={"images_per_second": 8000 / ms, "step_ms_median": ms})
    params = {kind: given for kind, given in item.params.items() if kind != "training"}
    params["speed"] = {"batch_size": 8, "precision": "fp32"}
    against = {"baselines": ["full", "deep"], "ratio": ratio, "low": ratio * 0.98, "high": ratio * 1.02}
    training = replace(item.pretraining, key=None)
    return replace(item, params=params, pretraining=training, kind="speed", features=None, speed={"against": [against]})


def test_folders_of_a_speed_suite_are_compared_with_their_ratios(record, tmp_path):
    for name, ms, ratio in (("a", 10.0, 2.0), ("b", 12.0, 2.01)):
        with ResultsStore.open_for_writing(tmp_path / name) as store:
            item = speed_row(record, ms, ratio)
            other = replace(item, cell="large", params={**item.params, "speed": {"batch_size": 16}})
            for row in (item, other):
                store.put(row, suite="speed", description="d", inputs={})
                store.put_steps(row.cell, ms + NOISE[0] / 10)
    comparison = compare(load_side(tmp_path / "a"), load_side(tmp_path / "b"), across=["training.precision"])
    outcomes = {(change.recipe, change.quantity): (change.verdict, change.over) for change in comparison.changes}
    for recipe in ("mae · batch_size=8", "mae · batch_size=16"):
        assert outcomes[recipe, "step_ms_median"] == ("worse", "steps")
        assert outcomes[recipe, "images_per_second"] == ("worse", "steps")
        assert outcomes[recipe, "speed_up/full=deep"] == ("tie", "rounds")
    assert len(outcomes) == 6
    ratio = next(change for change in comparison.changes if change.over == "rounds")
    # 95% of each ratio is 2% to either side, of both together sqrt(2) times that
    assert ratio.interval.high == pytest.approx(0.005 + np.sqrt(2) * np.log(1.02 / 0.98) / 2, rel=1e-3)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"records": [1]}', '{"speeds": 3}', '{"speeds": {"x": {}}}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    words = r"x\.json: neither a results folder, nor what `sslbench results DIR --format json` prints, nor what `pytest"
    with pytest.raises(UserError, match=words):
        load_side(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"records": [', "not JSON: Expecting value: line 1 column 14 (char 13)"),
        (b'{"records": [], "records": []}', "not JSON: key 'records' is given twice"),
        (b'{"records": [{"seed": NaN}]}', "not JSON: NaN is no value; what is not known is null"),
        ('{"records": []}'.encode("utf-16"), "not UTF-8, as JSON is: byte 0"),
    ],
)
def test_what_is_no_json_says_where(tmp_path, content, words):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_side(path)
    expected = "expected a results folder, or what `sslbench results DIR --format json` prints"
    assert str(caught.value) == f"{path}: {words}; {expected}"


def test_a_mark_at_the_start_of_json_is_no_mistake(tmp_path):
    (tmp_path / "x.json").write_text('{"records": []}', encoding="utf-8-sig")
    assert load_side(tmp_path / "x.json").records == []


def test_saved_speeds_are_compared_by_name(tmp_path):
    def side(name, ms, speed_up):
        speed = {"images": 8, "images_per_second": 8000 / ms, "step_ms_median": ms, "step_ms_iqr": 0.1}
        speed |= {"speed_up": speed_up, "low": speed_up * 0.99, "high": speed_up * 1.01, "rounds": 10}
        speed |= {"step_ms": list(ms + NOISE[0] / 10), "machine": {"processor": "Abacus"}}
        alone = {**speed, "speed_up": None, "low": None, "high": None, "rounds": None}
        (tmp_path / name).write_text(json.dumps({"schema": 1, "speeds": {"test_a": speed, "test_b": alone}}))
        return load_side(tmp_path / name)

    comparison = compare(side("a.json", 10.0, 2.0), side("b.json", 11.0, 1.9), ["speed_up:3%"])
    outcomes = {(change.recipe, change.quantity): change.verdict for change in comparison.changes}
    names = ("speed_up", "images_per_second", "step_ms_median")
    assert outcomes == {
        **{("test_a", name): "worse" for name in names},
        **{("test_b", name): "worse" for name in names[1:]},
    }
    (line,) = comparison.exceeded
    assert line.startswith("test_a: speed_up 2 x -> 1.9 x, 5.0% worse")


def test_a_damaged_record_of_a_file_is_named_and_the_others_are_compared(record, tmp_path):
    good, bad = record().to_json(), {**record(seed=1).to_json(), "seed": "one"}
    (tmp_path / "x.json").write_text(json.dumps({"schema": 2, "records": [good, bad, {**good, "schema": 3}]}))
    side = load_side(tmp_path / "x.json")
    assert side.records == [record()]
    assert side.damaged == [
        f"{tmp_path}/x.json: record 2: damaged: seed is 'one'; allowed: a whole number",
        f"{tmp_path}/x.json: record 3: has schema 3; this version reads 1 and 2",
    ]


def test_a_speed_row_without_its_ratio_is_named(record, tmp_path):
    rows = [speed_row(record, 10.0, 2.0).to_json() for _ in range(2)]
    del rows[1]["speed"]["against"][0]["low"]
    rows[1]["cell"] = "broken"
    (tmp_path / "x.json").write_text(json.dumps({"schema": 2, "records": rows}))
    side = load_side(tmp_path / "x.json")
    assert len(side.records) == 1
    assert side.damaged == [
        f"{tmp_path}/x.json: record of cell broken: damaged: speed.against has no ratio and interval"
    ]


def inputs(data="aaaaaaaa11", plugin="pkg 1.0+0a", weights=None):
    code = {"the harness": "sslbench 0.1.0+01", "method 'simclr'": plugin}
    return {"code": code, "data": data, **({"weights": weights} if weights else {})}


def side(record, name, *, time="", epochs=20, provenance=None, **made_of):
    params = {"training": {**record().params["training"], "epochs": epochs}}
    facts = {"provenance": provenance or {"processor": "X", "sslbench": "0.1.0"}, "inputs": inputs(**made_of)}
    return Side(name, [replace(record(params=params), **facts)])


def test_folders_of_other_content_are_marked_and_said_before_the_numbers(record):
    comparison = compare(side(record, "a"), side(record, "b", data="bbbbbbbb22"))
    assert comparison.differences == ["data of digits: aaaaaaaa in A, bbbbbbbb in B"]
    assert {change.differs for change in comparison.changes} == {("data",)}
    for fmt in ("table", "markdown"):
        text = render_comparison(comparison, fmt)
        assert text.index("data of digits: aaaaaaaa in A, bbbbbbbb in B") < text.index("quantity")
        assert "simclr (other data)" in text
        assert "such rows repeat no measurement" in " ".join(text.split())
    document = json.loads(render_comparison(comparison, "json"))
    assert document["differences"] == comparison.differences
    assert document["changes"][0]["differs"] == ["data"]
    assert "data" in next(csv.DictReader(io.StringIO(render_comparison(comparison, "csv"))))["differs"]


def test_equal_sides_differ_in_nothing(record):
    comparison = compare(side(record, "a"), side(record, "b"))
    assert (comparison.differences, comparison.changes[0].differs) == ([], ())
    assert "differs" not in render_comparison(comparison, "table")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"plugin": "pkg 2.0+0b"}, "code of method 'simclr': pkg 1.0+0a in A, pkg 2.0+0b in B"),
        ({"plugin": "pkg 1.0+0b"}, "code of method 'simclr': pkg 1.0+0a in A, pkg 1.0+0b in B"),
        ({"weights": "b" * 16}, None),
        ({"provenance": {"processor": "Y", "sslbench": "0.1.0"}}, "processor: X in A, Y in B"),
        ({"provenance": {"processor": "X", "sslbench": "0.2.0"}}, "version of sslbench: 0.1.0 in A, 0.2.0 in B"),
        ({"epochs": 40}, "epochs of simclr: 20 in A, 40 in B"),
    ],
)
def test_code_versions_machine_and_settings_are_said(record, changes, line):
    comparison = compare(side(record, "a"), side(record, "b", **changes))
    assert comparison.differences == ([line] if line else [])


def test_speeds_of_pretrainings_that_shared_a_device_are_of_another_machine(record):
    sides = [Side(name, [record("simclr", pretraining={"at_once": n})]) for name, n in (("a", 1), ("b", 4))]
    text = render_comparison(compare(*sides), "table")
    assert "pretrainings that shared a device: 1 in A, 4 in B" in text


def test_threads_of_a_step_count_where_they_are_known_and_else_those_of_the_process(record):
    def of(threads, name):
        return Side(name, [replace(record("simclr", pretraining={"threads": threads}), provenance={"threads": 2})])

    assert compare(of(1, "a"), of(None, "b")).differences == ["threads: 1 in A, 2 in B"]
    assert compare(of(2, "a"), of(None, "b")).differences == []


def test_versions_of_a_plugin_that_others_brought_are_said(record):
    sides = [side(record, v, provenance={"distributions": {"pkg": v, "sslbench": "0.1.0"}}) for v in ("1.0", "2.0")]
    assert compare(*sides).differences == ["version of pkg: 1.0 in A, 2.0 in B"]


def test_weights_of_one_path_and_other_content_are_marked(record):
    comparison = compare(side(record, "a", weights="a" * 16), side(record, "b", weights="b" * 16))
    assert comparison.differences == ["weights of simclr: aaaaaaaa in A, bbbbbbbb in B"]
    assert {change.differs for change in comparison.changes} == {("weights",)}


def test_of_several_contents_the_same_one_is_paired_and_the_others_stay_alone(record):
    first, second, third = (side(record, "x", data=data).records[0] for data in ("a" * 16, "b" * 16, "c" * 16))
    second = replace(second, cell="second", metrics={"knn_top1": replace(second.metrics["knn_top1"], value=0.1)})
    comparison = compare(Side("a", [first, second]), Side("b", [second, third]))
    assert {(change.before, change.after, change.differs) for change in comparison.changes} == {
        (0.1, 0.1, ()),
        (0.9, 0.9, ("data",)),
    }
    alone = compare(Side("a", [first, third]), Side("b", [second]))
    assert alone.changes == []
    assert sorted(item.side for item in alone.one_sided) == ["A", "A", "B"]
    assert "(fingerprint=aaaaaaaa)" in alone.one_sided[0].recipe + alone.one_sided[1].recipe + alone.one_sided[2].recipe


def test_records_that_do_not_say_what_they_were_made_of_are_paired(record):
    comparison = compare(Side("a", [record()]), side(record, "b"))
    assert comparison.changes[0].differs == ()
