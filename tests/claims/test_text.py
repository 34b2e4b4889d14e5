from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from sslbench import Claim, SimulationResult
from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.simulate import Simulation
from sslbench.claims.simulation_table import table
from sslbench.claims.text import render_claims, render_json, render_simulation, tally
from sslbench.report.screen import WIDTH

CLAIMS = [
    Claim("the sky is blue", "a poem", "blue", "460 nm; true on 2 of 2 seeds", "holds", (1, 2)),
    Claim("it is green", "a poem", "green", "460 nm; true on 0 of 2 seeds", "fails", (1, 2)),
    Claim("it rains", "a poem", "rain", "true on 1 of 2 seeds", "undecided", (1, 2)),
]
ROWS = [
    {"first_name": "ant", "count": 12345, "share": 0.12345, "good": True, "values": [1, 2], "reason": ""},
    {"first_name": "bee", "count": 3, "share": None, "good": False, "values": list(range(40)), "reason": "no bees"},
]


def simulation(**given):
    result = SimulationResult({"animals": ROWS}, CLAIMS, {}, "Look up.")
    return Simulation("sky", "What is above.", 1, {"claim_seeds": 2}, **{"result": result, **given})


def test_text_has_tables_then_claims_with_marks_then_what_follows():
    text = render_simulation(simulation(), "table")
    assert (
        text
        == """\
sky, seed 1
===========
What is above.

animals

first
name    count  share  good  values
-----  ------  -----  ----  ----------------------------------------------
ant    12,345  0.123  yes   1 2
bee         3      -  no    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 ... (40)

- no bees

claims (seeds 1 to 2, 2 of them)

  ✓ holds      the sky is blue
               tested: blue
               measured: 460 nm; true on 2 of 2 seeds
  ✗ fails      it is green
               tested: green
               measured: 460 nm; true on 0 of 2 seeds
  ? undecided  it rains
               tested: rain
               measured: true on 1 of 2 seeds

3 claims: 1 holds, 1 fails, 1 undecided

In practice: Look up."""
    )


def test_markdown():
    text = render_simulation(simulation(), "markdown")
    assert "## sky" in text
    assert "| first name | count | share | good | values |" in text
    assert "| ✗ fails | it is green | green | 460 nm; true on 0 of 2 seeds |" in text
    assert text.endswith("**In practice:** Look up.")


@pytest.mark.parametrize("fmt", ["table", "markdown"])
def test_claims_only(fmt):
    text = render_simulation(simulation(), fmt, claims_only=True)
    assert "animals" not in text
    assert "it rains" in text


def test_json_of_one_and_of_several():
    one = json.loads(render_json([simulation()], single=True))
    assert list(one) == ["schema", "simulator", "seed", "parameters", "tables", "claims"]
    assert one["schema"] == 2
    assert one["tables"] == {"animals": ROWS}
    assert one["claims"][0] == {
        "statement": "the sky is blue",
        "source": "a poem",
        "expected": "blue",
        "measured": "460 nm; true on 2 of 2 seeds",
        "verdict": "holds",
        "seeds": [1, 2],
    }
    assert json.loads(render_json([simulation()], single=False)) == {"schema": 2, "simulations": [one]}
    assert json.loads(render_json([simulation()], claims_only=True, single=True))["tables"] == {}


def test_a_wide_table_is_cut_between_columns_and_repeats_its_keys():
    rows = [
        {"name": name, "m": m, **{f"column_number_{n}": m * n / 7 for n in range(20)}} for name in "ab" for m in (1, 2)
    ]
    lines = table(rows).split("\n")
    assert max(map(len, lines)) <= WIDTH
    heads = [line for line in lines if line.startswith("name  m ")]
    assert len(heads) == 2
    assert len([line for line in lines if line.startswith("a     1 ")]) == 2
    widths = [len(line) for line in lines if line.startswith("----")]
    assert max(widths) - min(widths) <= 20  # no block of a single column beside a full one


def test_a_long_table_is_only_described():
    text = table([{"step": n, "value": n / 3} for n in range(1000)])
    assert text == "1,000 rows, in --format json: step, value"
    assert table([]) == "no rows"


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([0.9, 0.9999], ["0.9", "0.9999"]),
        ([1 / 3, 2 / 3], ["0.333", "0.667"]),
        ([-0.00001, 1 / 3], ["-1.00e-05", "0.333"]),
        ([-0.0001, 0.01 / 3], ["-0.00010", "0.00333"]),
        ([-0.00004, 1 / 30], ["0.000", "0.0333"]),
        ([1e9, 2.0], ["1,000,000,000", "2"]),
        ([1.23456e-16, 7.77777e-16], ["1.23e-16", "7.78e-16"]),
        ([280215.123, 0.3681567], ["280k", "0.368"]),
    ],
)
def test_numbers_of_a_column(values, cells):
    lines = table([{"value": value} for value in values]).split("\n")[2:]
    shown = [line.strip() for line in lines]
    if cells[0] == "0.000":  # rounded to nothing, it is not called negative
        assert not shown[0].startswith("-")
        return
    assert shown == cells


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        (["holds"], "1 claim: 1 holds"),
        (["fails", "holds", "holds"], "3 claims: 2 hold, 1 fails"),
        (["not measured yet", "undecided", "fails", "fails"], "4 claims: 2 fail, 1 undecided, 1 not measured yet"),
    ],
)
def test_tally(verdicts, text):
    assert tally(verdicts) == text


ROWS_OF_CLAIMS = [
    ClaimRow(
        "a sentence that is longer than its column is wide", "s", "e", "0.5", "fails", (), "sslbench simulate sky"
    ),
    ClaimRow("another", "s", "e", "no run", "not measured yet", (), "sslbench simulate sky"),
]


def test_all_claims_in_one_table():
    text = render_claims(ROWS_OF_CLAIMS, "table")
    assert "✗ fails             a sentence that is longer than " in text
    assert "… not measured yet  another" in text
    assert text.endswith("2 claims: 1 fails, 1 not measured yet")
    assert max(map(len, text.split("\n"))) <= 120
    lines = render_claims(ROWS_OF_CLAIMS, "markdown").split("\n")
    assert lines[0] == "| verdict | claim | evidence | command |"
    assert json.loads(render_claims(ROWS_OF_CLAIMS, "json")) == {
        "schema": 2,
        "claims": [{**asdict(row), "seeds": list(row.seeds)} for row in ROWS_OF_CLAIMS],
    }
