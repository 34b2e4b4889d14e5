from __future__ import annotations

from sslbench_plugins.blocks.studies.seed_results import SeedResults

SEEDS = SeedResults("a paper", {1: 0.5, 2: 0.7, 3: None})


def test_a_claim_rests_on_every_seed():
    claim = SEEDS.claim("it is so", "above 0.4", lambda value: None if value is None else value > 0.4, "a mean of 0.6")
    assert (claim.source, claim.expected, claim.seeds) == ("a paper", "above 0.4", (1, 2, 3))
    assert claim.verdict == "undecided"
    assert claim.measured.startswith("a mean of 0.6; true on 2 of 3 seeds")
    assert SEEDS.claim("it is so", "any", lambda value: True, "").verdict == "holds"


def test_the_spread_is_over_the_seeds():
    assert SEEDS.spread(lambda value: value) == "0.6 (0.5 to 0.7), undefined on 1 seeds"
    assert SEEDS.spread(lambda value: value and value / 3, 2) == "0.2 (0.17 to 0.23), undefined on 1 seeds"
