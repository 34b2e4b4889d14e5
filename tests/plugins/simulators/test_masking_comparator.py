from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from sslbench import build_plugin
from sslbench.claims.simulate import simulate
from sslbench.hooks.registry import Registry
from sslbench.plan import choose

STRIPES = """
    '''Stripes.'''
    import torch
    from sslbench import MaskingParams, MaskingSpec, masked_count, hookimpl

    class Stripes:
        def sample(self, batch, grid, ratio, generator):
            mask = torch.zeros(batch, grid[0] * grid[1], dtype=torch.bool)
            {body}
            return mask

    @hookimpl
    def sslbench_maskings():
        return [MaskingSpec(name="stripes", summary=__doc__, build=lambda params, context: Stripes())]
"""


def run(seed=42, **given):
    (simulation,) = simulate(["masking-comparator"], seed=seed, given={"claim_seeds": 1, **given})
    return simulation.result


def plain(name, ratio, seed, grid=(8, 8), draws=100):
    """Means over masks, one patch at a time."""
    generator = torch.Generator().manual_seed(seed)
    masks = build_plugin("masking", name).sample(draws, grid, ratio, generator).numpy()
    cells = [divmod(i, grid[1]) for i in range(grid[0] * grid[1])]
    means = []
    for mask in masks:
        shown = [c for c, is_masked in zip(cells, mask, strict=True) if not is_masked]
        masked = [c for c, is_masked in zip(cells, mask, strict=True) if is_masked]
        quadrants = [0] * 4
        for row, col in shown:
            quadrants[2 * (row >= grid[0] // 2) + (col >= grid[1] // 2)] += 1
        means.append(
            (
                np.mean([math.dist(a, b) for a, b in itertools.combinations(shown, 2)]),
                np.std(quadrants),
                np.mean([min(math.dist(m, s) for s in shown) for m in masked]),
            )
        )
    return len(shown), np.mean(means, axis=0)


@pytest.mark.parametrize("seed", [42, 3])
def test_the_table_is_the_definition(seed):
    rows = {(row["strategy"], row["ratio"]): row for row in run(seed, draws=10).tables["strategies"]}
    assert {name for name, _ in rows} >= {"random", "block", "grid"}
    for (name, ratio), row in rows.items():
        visible, (distance, uniformity, difficulty) = plain(name, ratio, seed, draws=10)
        assert row["visible_patches"] == visible == {0.25: 48, 0.5: 32, 0.75: 16, 0.9: 6}[ratio]
        assert row["mean_visible_distance"] == pytest.approx(distance, abs=1e-12)
        assert row["coverage_uniformity"] == pytest.approx(uniformity, abs=1e-12)
        assert row["reconstruction_difficulty"] == pytest.approx(difficulty, abs=1e-12)


def test_extremes_are_named_at_every_ratio():
    tables = run(draws=10).tables
    for row in tables["extremes"]:
        among = [one for one in tables["strategies"] if one["ratio"] == row["ratio"]]
        assert row["highest_difficulty"] == max(among, key=lambda one: one["reconstruction_difficulty"])["strategy"]
        assert row["most_even_coverage"] == min(among, key=lambda one: one["coverage_uniformity"])["strategy"]


def test_the_samples_show_the_values_of_visible_patches():
    for row in run(draws=2).tables["sample_masks"]:
        assert len(row["visible_values"]) == int(64 * (1 - row["ratio"]) + 1e-9)
        assert set(row["visible_values"]) <= set(range(1, 65))


def test_verdicts():
    verdicts = [claim.verdict for claim in run(claim_seeds=3).claims]
    assert verdicts == ["fails", "holds", "holds", "holds"]


def test_any_grid_and_some_maskings():
    rows = run(grid="3x14", maskings="block+random", draws=5).tables["strategies"]
    assert [row["strategy"] for row in rows] == ["block"] * 4 + ["random"] * 4
    assert {row["visible_patches"] for row in rows} == {31, 21, 10, 4}


def test_what_cannot_be_measured_has_a_reason():
    rows = {row["ratio"]: row for row in run(grid="4x4", ratios="0.99+0.9+0.5", maskings="random").tables["strategies"]}
    assert rows[0.99]["reason"] == "0 of 16 patches visible: nothing to measure"
    assert rows[0.99]["reconstruction_difficulty"] is None
    assert rows[0.9]["mean_visible_distance"] is None
    assert rows[0.9]["reason"] == "one visible patch is at no distance from another"
    assert rows[0.9]["coverage_uniformity"] == pytest.approx(math.sqrt(3) / 4)
    line = run(grid="1x9", ratios=0.5, maskings="random").tables["strategies"][0]
    assert line["coverage_uniformity"] is None
    assert line["reason"] == "a grid of one row or column has no quadrants"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("mask[:, : masked_count(mask.shape[1], ratio)] = True", ""),
        ("pass", "masking 'stripes' masks 0 of 64 patches, not 48 in every mask"),
        ("raise RuntimeError('ouch')", "masking 'stripes' raised RuntimeError: ouch"),
    ],
)
def test_other_peoples_maskings_are_compared_and_hurt_nobody(distribution, monkeypatch, body, reason):
    distribution("stripes-masks", {"masking.stripes": "stripes"}, {"stripes": STRIPES.format(body=body)})
    registry = Registry()
    monkeypatch.setattr(choose, "default_registry", lambda: registry)
    result = run(ratios=0.75)
    rows = {row["strategy"]: row for row in result.tables["strategies"]}
    assert rows["stripes"]["reason"] == reason
    assert (rows["stripes"]["reconstruction_difficulty"] is None) == bool(reason)
    assert rows["random"]["reason"] == ""
    assert len(result.claims) == 4
