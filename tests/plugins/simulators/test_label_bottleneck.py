from __future__ import annotations

import pytest

from sslbench import UserError
from sslbench.claims.simulate import simulate
from sslbench_plugins.simulators.label_bottleneck import fifty_million, labelling_cost, share_of


def run(**given):
    (simulation,) = simulate(["label-bottleneck"], given={"claim_seeds": 1, **given})
    return simulation.result


def test_the_costs_by_hand():
    tables = run().tables
    assert {row["data_set"]: row["cost_usd"] for row in tables["costs"]} == {
        "ImageNet": 140_000,
        "COCO": 165_000,
        "Medical (chest)": 18_750,
        "Internet images": 0,
    }
    (pool,) = tables["unlabelled_pool"]
    assert (pool["labels"], pool["cost_usd"]) == (50_000_000, 500_000)
    (half,) = run(fraction=0.5).tables["unlabelled_pool"]
    assert half["cost_usd"] == 25_000_000


def test_fifty_million_labels_are_not_fifty_million_dollars():
    (claim,) = run().claims
    assert claim.verdict == "fails"
    assert "50,000,000 labels cost $500,000, which is 0.01 of what is said" in claim.measured
    assert fifty_million([42], price=1.0).verdict == "holds"


def test_own_rows_are_added(tmp_path):
    (tmp_path / "rows.csv").write_text("name,images,labelled,price\nMine,1000,200,0.25\nAll,10,10,3\n")
    tables = run(rows=str(tmp_path / "rows.csv")).tables
    assert [row["cost_usd"] for row in tables["costs"]][-2:] == [50, 30]
    assert [row["data_set"] for row in tables["unlabelled_pool"]] == ["Internet images", "Mine"]
    assert tables["unlabelled_pool"][1]["cost_usd"] == 2


def test_the_figure_has_a_bar_for_each_row_that_costs_something(tmp_path):
    (tmp_path / "rows.csv").write_text("name,images,labelled,price\nCOCO,10,10,3\nFree,10,5,0\n")
    axes = run(rows=str(tmp_path / "rows.csv")).figures["costs"]().axes[0]
    assert [bar.get_width() for bar in axes.patches] == [140_000, 165_000, 18_750, 30, 500_000]
    assert [label.get_text() for label in axes.get_yticklabels()][3:] == ["COCO", "1% of the rest of Internet images"]


BAD = "100,200,1 1.5,1,1 a,1,1 10,-1,1 10,1,-1 ,1,1 inf,1,1 9,1,inf 9,1,nan 1e16,1,1 9,1,1e300"


@pytest.mark.parametrize("row", BAD.split(" "))
def test_a_row_that_cannot_be(tmp_path, row):
    path = tmp_path / "rows.csv"
    path.write_text(f"name,images,labelled,price\nGood,10,10,1\nMine,{row}\n")
    with pytest.raises(UserError) as caught:
        run(rows=str(path))
    assert caught.value.messages[0].startswith(f"rows = {str(path)!r}: row 2 (Mine) has images, labelled, price = ")
    expected = "expected whole numbers with 0 <= labelled <= images <= 1e+15 and a price of 0 to 1e+09 dollars"
    assert caught.value.messages[0].endswith(expected)


def test_the_two_measures_refuse_what_cannot_be():
    assert labelling_cost(3, 0.334) == 1.0
    assert share_of(250, 0.01) == 2
    with pytest.raises(ValueError, match="labelling cost of -1 images at 2 dollars"):
        labelling_cost(-1, 2)
    with pytest.raises(ValueError, match="fraction 1.5 of the images; allowed are 0 to 1"):
        share_of(10, 1.5)
