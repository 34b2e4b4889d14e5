from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from sslbench import UserError
from sslbench.claims.simulate import simulate
from sslbench_plugins.simulators.momentum_dynamics import tables
from sslbench_plugins.simulators.momentum_dynamics.tables import (
    lag,
    moving_average,
    online_path,
    staleness,
    variance_over_time,
)


def run(seed=42, **given):
    (simulation,) = simulate(["momentum-dynamics"], seed=seed, given={"claim_seeds": 1, **given})
    return simulation.result


def plain(seed, m, start, steps):
    """Step after step, with a list of all past online encoders."""
    rng = RandomState(seed)
    online, target = np.zeros(100), np.full(100, start)
    past, targets, rows = [online.copy()], [], []
    for _ in range(steps):
        online = online + rng.normal(0, 0.1, 100)
        target = m * target + (1 - m) * online
        past.append(online.copy())
        targets.append(target.copy())
        distances = [np.linalg.norm(target - one) for one in reversed(past)]
        rows.append(
            {
                "l2_distance": np.linalg.norm(target - online),
                "staleness_steps": int(np.argmin(distances)),
                "variance_over_time": np.var(targets[-100:], axis=0).mean(),
                "variance_of_parameters": np.var(target),
            }
        )
    return rows


@pytest.mark.parametrize("seed", [42, 1])
def test_the_steps_are_the_definition(seed):
    steps = 150
    tables = run(seed, steps=steps).tables
    assert len(tables["steps"]) == 2 * 4 * steps
    for start, value in (("as written", 1.0), ("copied", 0.0)):
        for m in (0.9, 0.99, 0.999, 0.9999):
            expected = plain(seed, m, value, steps)
            rows = [row for row in tables["steps"] if (row["start"], row["momentum"]) == (start, m)]
            assert [row["step"] for row in rows] == list(range(1, steps + 1))
            (compared,) = [r for r in tables["comparison"] if (r["start"], r["momentum"]) == (start, m)]
            for name in expected[0]:
                values = [row[name] for row in expected]
                assert [row[name] for row in rows] == pytest.approx(values, rel=1e-9, abs=1e-13), (start, m, name)
                assert compared[f"mean_{name}"] == pytest.approx(np.mean(values))
                assert compared[f"final_{name}"] == pytest.approx(values[-1])


@pytest.mark.parametrize("m", [0.0, 0.5, 0.999])
def test_a_moving_average_against_its_closed_form(m):
    """Of a constant online encoder c: c + m^t (start - c)."""
    online = np.full((11, 3), 2.0)
    t = np.arange(1, 11)[:, None]
    assert moving_average(online, m, 1.0) == pytest.approx(np.broadcast_to(2 + m**t * (1 - 2), (10, 3)))


@pytest.mark.parametrize("m", [-0.1, 1.0, 1.5])
def test_a_momentum_outside_its_range(m):
    with pytest.raises(ValueError, match="allowed are 0 up to, but not including, 1"):
        moving_average(np.zeros((3, 1)), m, 0.0)


def test_without_momentum_there_is_neither_lag_nor_staleness():
    online = online_path(0, 50, 10, 0.1)
    target = moving_average(online, 0.0, 1.0)
    assert (lag(online, target) == 0).all()
    assert (staleness(online, target) == 0).all()


def test_staleness_on_a_straight_path():
    """An encoder that moves one unit a step has its EMA m / (1 - m) steps behind."""
    online = np.arange(0.0, 401.0)[:, None]
    target = moving_average(online, 0.9, 0.0)
    assert staleness(online, target)[-1] == 9
    assert lag(online, target)[-1] == pytest.approx(9)


def test_variance_over_a_window():
    target = np.arange(1.0, 7.0)[:, None]
    assert variance_over_time(target, 3) == pytest.approx([0, 0.25, 2 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_staleness_is_the_same_in_parts(monkeypatch):
    online = online_path(0, 60, 10, 0.1)
    target = moving_average(online, 0.95, 1.0)
    whole = staleness(online, target)
    monkeypatch.setattr(tables, "PART", 61 * 7)
    assert staleness(online, target).tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 20_000, "parameters": 501}, "steps = 20000 and parameters = 501: their product is at most 10,000,"),
        ({"noise": 1e7}, "noise = 10000000.0: input should be less than or equal to 1000000"),
        ({"claim_seeds": 1001}, "claim_seeds = 1001: input should be less than or equal to 1000"),
    ],
)
def test_what_would_not_fit(given, words):
    with pytest.raises(UserError) as caught:
        run(**given)
    assert words in caught.value.messages[0]


def test_scores_name_winners():
    rows = run(steps=200).tables["trade_off"]
    assert len(rows) == 2 * 2 * 4
    for row in rows:
        values = {m: row[f"value_at_{m}"] for m in ("0.9", "0.99", "0.999", "0.9999")}
        if row["winner"]:
            best = min(values.values()) + 1e-12
            assert row["winner"].split(" and ") == [m for m, value in values.items() if value <= best]
        else:
            assert row["reason"]


def test_verdicts_are_of_the_path():
    claims = {claim.statement: claim for claim in run(claim_seeds=4, steps=200).claims}
    assert claims["higher momentum is more stable (target starts as a copy)"].verdict == "holds"
    product = claims["m = 0.999 is a reasonable trade-off (plain product of lag and variance, target starts as a copy)"]
    assert (product.verdict, product.seeds) == ("fails", (42, 43, 44, 45))
    assert product.measured == "the winner is 0.9999 on 4; true on 0 of 4 seeds"


def test_one_momentum_has_nothing_to_be_compared_with():
    result = run(m=0.9, steps=5)
    assert {claim.verdict for claim in result.claims} == {"undecided"}
    assert all(row["winner"] is None and row["reason"] for row in result.tables["trade_off"])
