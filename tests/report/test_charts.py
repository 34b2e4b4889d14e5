"""Charts: what they draw, in numbers, and the words for those who cannot see them."""

from __future__ import annotations

import re

import pytest

from sslbench.report.aggregate import aggregate
from sslbench.report.charts import curves, differences, heat_map, quality_against_cost, seeds
from sslbench.report.charts.drawing import interactive, svg_of, vega_lite
from sslbench.report.charts.panel import GREY, MOST_ROWS, PALETTE, drawn, method_colours, what_is_drawn
from sslbench.report.view import View

ALL = (quality_against_cost, heat_map, seeds, differences, curves)


@pytest.fixture
def view(record):
    values = {"simclr": (0.90, 0.91, 0.92), "mae": (0.70, 0.73, 0.71), "random-init": (0.60, 0.61, 0.60)}
    rates = {"simclr": 1000.0, "mae": 2000.0, "random-init": None}
    return view_of(record, values, rates)


def view_of(record, values, rates):
    records = []
    for method, own in values.items():
        for seed, value in enumerate(own):
            losses = [2.0 - 0.1 * seed, 1.0] if rates.get(method) else None
            training = {"images_per_second": rates.get(method), "losses": losses, "peak_memory_bytes": 5 * 10**8}
            training |= {} if losses else {"steps": 0}
            records.append(record(method, seed, metrics={"knn_top1": value}, pretraining=training))
    return View(aggregate(records))


def rows_in(panel):
    (rows,) = panel.chart.to_dict()["datasets"].values()
    return rows


def test_quality_against_cost_has_a_panel_for_each_cost_that_two_recipes_have(view):
    panels = quality_against_cost.panels(view)
    assert [panel.title for panel in panels] == [
        "knn_top1 against images a second in training",
        "knn_top1 against peak memory of training, MB",
    ]
    rows = {row["recipe"]: row for row in rows_in(panels[0])}
    assert rows["simclr"]["cost"] == 1000
    assert rows["simclr"]["value"] == pytest.approx(0.91)
    assert rows["simclr"]["standing"] == "best"
    assert rows["mae"]["standing"] == "worse"
    assert rows["random-init"]["cost"] is None
    assert "from 1000 to 2000; more is better" in panels[0].description
    assert "The best knn_top1 is that of simclr." in panels[0].description


def test_a_cell_of_the_heat_map_is_coloured_within_its_column(record, metric):
    both = {"simclr": (0.9, 3.0), "mae": (0.8, 1.0), "byol": (0.5, 2.0)}
    records = [
        record(method, metrics={"knn_top1": top1, "depth_rmse": metric(error, higher=False)})
        for method, (top1, error) in both.items()
    ]
    (panel,) = heat_map.panels(View(aggregate(records)))
    shares = {(row["recipe"], row["metric"]): row["share"] for row in rows_in(panel)}
    assert shares["simclr", "knn_top1"] == 1
    assert shares["byol", "knn_top1"] == 0
    assert shares["mae", "depth_rmse"] == 1
    assert shares["simclr", "depth_rmse"] == 0
    assert shares["mae", "knn_top1"] == pytest.approx(0.75)


def test_seeds_are_dots_with_their_mean_and_interval(view):
    (panel,) = seeds.panels(view)
    rows = rows_in(panel)
    assert [row["value"] for row in rows if row["recipe"] == "simclr" and "seed" in row] == [0.9, 0.91, 0.92]
    (mean,) = (row for row in rows if row["recipe"] == "simclr" and "mean" in row)
    assert mean["low"] < 0.9 < mean["mean"] < 0.92 < mean["high"]
    assert "a dot for each of 3 seeds" in panel.description
    assert "Means from 0.603 (random-init) to 0.910 (simclr)" in panel.description


def test_a_method_has_one_colour_in_all_charts_and_what_trains_nothing_is_grey(view):
    colour = method_colours(view)
    assert colour == {"simclr": PALETTE[0], "mae": PALETTE[1], "random-init": GREY}
    for module in (seeds, quality_against_cost):
        layers = module.panels(view)[0].chart.to_dict()["layer"]
        scales = [layer["encoding"]["color"]["scale"] for layer in layers if "color" in layer["encoding"]]
        assert scales
        for scale in scales:
            assert dict(zip(scale["domain"], scale["range"], strict=True)).items() <= colour.items()
            assert "mae" in scale["domain"]


def test_differences_are_from_the_best_with_what_the_tests_say(view):
    (panel,) = differences.panels(view)
    rows = {row["recipe"]: row for row in rows_in(panel)}
    assert rows.keys() == {"mae", "random-init"}
    assert rows["mae"]["difference"] == pytest.approx(0.7133 - 0.91, abs=1e-3)
    assert rows["mae"]["low"] < rows["mae"]["difference"] < rows["mae"]["high"] < 0
    assert {row["verdict"] for row in rows.values()} == {"worse"}
    assert panel.title == "knn_top1: difference from simclr"
    assert "2 worse" in panel.description


def test_losses_have_a_line_a_seed_and_one_for_their_mean(view):
    panels = curves.panels(view)
    assert [panel.title for panel in panels] == ["loss of simclr", "loss of mae"]
    rows = rows_in(panels[0])
    assert {row["line"] for row in rows} == {"seed 0", "seed 1", "seed 2", "mean"}
    assert [row["value"] for row in rows if row["line"] == "mean"] == [1.9, 1.0]


def test_a_long_curve_keeps_its_last_epoch():
    points = curves.thinned({epoch: float(epoch) for epoch in range(1, 1001)}, 100)
    assert len(points) == 100
    assert points[-1] == (1000, 1000.0)


def test_many_long_curves_are_thinned(record):
    losses = [1 / epoch for epoch in range(1, 801)]
    records = [
        record("simclr", seed, params={"method": {"lr": n}}, pretraining={"losses": losses})
        for n in range(20)
        for seed in range(3)
    ]
    (panel,) = curves.panels(View(aggregate(records)))
    assert 1000 < len(rows_in(panel)) <= curves.MOST_IN_ALL


def test_many_recipes_are_drawn_in_part_which_is_said(record):
    records = [record("simclr", params={"method": {"lr": n}}, metrics={"knn_top1": n / 100}) for n in range(60)]
    view = View(aggregate(records))
    (panel,) = differences.panels(view)
    assert len(rows_in(panel)) == MOST_ROWS - 1
    assert what_is_drawn(view) == ["charts show the best 25 of 60 recipes; the table has all"]


def test_every_data_set_is_drawn_where_there_are_many_recipes(record):
    records = [
        record("simclr", dataset=dataset, params={"method": {"lr": n}}, metrics={"knn_top1": n / 100})
        for dataset in ("digits", "photos")
        for n in range(60)
    ]
    view = View(aggregate(records))
    assert {view.names.of_kind["dataset"][row] for row in drawn(view)} == {"digits", "photos"}


@pytest.mark.parametrize("chart", ALL, ids=lambda module: module.__name__.rpartition(".")[2])
def test_one_recipe_or_none_breaks_no_chart(chart, record):
    for records in ([], [record()], [record(metrics={}, status="failed", reason="it broke")]):
        for panel in chart.panels(View(aggregate(records))):
            assert "<svg" in svg_of(vega_lite(panel), 300)


def test_svg_takes_the_colour_of_the_text_around_it_and_names_of_others_stay_text(record):
    records = [record(name, metrics={"knn_top1": v}) for name, v in (("<script>x</script>", 0.9), ("mae", 0.8))]
    (panel,) = differences.panels(View(aggregate(records)))
    (other,) = heat_map.panels(View(aggregate(records)))
    svg = "".join(svg_of(vega_lite(one), 300) for one in (panel, other))
    assert "currentColor" in svg
    assert "<script" not in svg
    assert "&lt;script" in svg
    assert "role=" not in svg


def test_the_selects_of_a_page_drive_a_chart_and_a_click_drives_them(view):
    (panel,) = differences.panels(view)
    spec = interactive(vega_lite(panel), ["method"])
    binds = {param["name"]: param["bind"] for param in spec["params"]}
    assert binds == {"pick": {"recipe": {"element": "#pick"}}, "only_method": {"element": "#only-method"}}
    assert {"filter": "only_method == '' || datum.method == only_method"} in spec["transform"]
    assert spec["width"] == "container"


def test_a_notebook_gets_one_chart(view):
    for function in (quality_against_cost.quality_against_cost, seeds.seeds, differences.differences):
        assert function(view).to_dict()["concat"]


@pytest.mark.parametrize("ground", [(255, 255, 255), (20, 24, 28)], ids=["light", "dark"])
def test_colours_can_be_seen_on_either_ground(ground):
    def luminance(colour):
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for colour in PALETTE:
        values = [int(part, 16) for part in re.findall("..", colour[1:])]
        dark, bright = sorted((luminance(values), luminance(ground)))
        assert (bright + 0.05) / (dark + 0.05) >= 3, colour
