from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from scipy.stats import spearmanr

from sslbench import UserError
from sslbench.claims.simulate import simulate

RANGES = [(20, 235)] * 3 + [(500, 3000)] * 2 + [(250, 320)] + [(-25, 5)] * 2


def run(seed=42, **given):
    (simulation,) = simulate(["scientific-image-analyzer"], seed=seed, given={"claim_seeds": 1, **given})
    return simulation.result


def plain(seed):
    """Version -> channels."""
    rng = RandomState(seed)
    raw = [rng.uniform(low, high, (128, 128)) for low, high in RANGES]
    clipped = []
    for channel in raw:
        low, high = np.percentile(channel, 2), np.percentile(channel, 98)
        clipped.append(np.clip((channel - low) / (high - low), 0, 1))
    return {"raw": raw, "clipped": clipped, "z-scored": [(c - c.mean()) / c.std() for c in raw]}


@pytest.mark.parametrize("seed", [42, 5])
def test_the_tables_are_the_definition(seed):
    versions = plain(seed)
    tables = run(seed).tables
    for index, row in enumerate(tables["channels"]):
        assert row["raw_mean"] == pytest.approx(versions["raw"][index].mean())
        assert row["raw_standard_deviation"] == pytest.approx(versions["raw"][index].std())
        assert row["z_scored_mean"] == pytest.approx(0, abs=1e-12)
        assert row["z_scored_standard_deviation"] == pytest.approx(1)
        assert row["clipped_mean"] == pytest.approx(versions["clipped"][index].mean())
        assert row["percentile_98"] == pytest.approx(np.percentile(versions["raw"][index], 98))
    assert [row["channel"] for row in tables["channels"]][3:6] == ["NIR-1", "NIR-2", "Thermal"]
    indices = {name: (c[3] - c[0]) / (c[3] + c[0] + 1e-8) for name, c in versions.items()}
    assert [row["version"] for row in tables["ndvi"]] == list(indices)
    for row in tables["ndvi"]:
        index = indices[row["version"]]
        assert row["mean"] == pytest.approx(index.mean(), rel=1e-6)
        assert row["vegetation_share"] == (index > 0.3).mean()
        rank = spearmanr(index.ravel(), indices["raw"].ravel()).statistic
        assert row["rank_correlation_with_raw"] == pytest.approx(rank, abs=1e-9)
    pairs = {("Red", "Green"): (0, 1), ("Red", "NIR-1"): (0, 3)}
    pairs |= {("NIR-1", "NIR-2"): (3, 4), ("Thermal", "Radar-1"): (5, 6)}
    assert [(row["first"], row["second"]) for row in tables["correlations"]] == list(pairs)
    for row in tables["correlations"]:
        one, other = pairs[row["first"], row["second"]]
        for key, version in (("raw", "raw"), ("z_scored", "z-scored"), ("clipped", "clipped")):
            channels = versions[version]
            expected = np.corrcoef(channels[one].ravel(), channels[other].ravel())[0, 1]
            assert row[key] == pytest.approx(expected, abs=1e-12)


def test_verdicts():
    verdicts = {claim.statement: claim.verdict for claim in run(claim_seeds=2).claims}
    assert verdicts["after z-scoring every channel has mean 0 and standard deviation 1"] == "holds"
    assert verdicts["z-scoring leaves the correlations exactly as they were"] == "holds"
    assert [v for s, v in verdicts.items() if "survives" in s] == ["fails"] * 4


def test_an_image_of_ones_own(tmp_path):
    array = RandomState(0).rand(3, 6, 7)
    np.save(tmp_path / "x.npy", array)
    result = run(image=str(tmp_path / "x.npy"), names="a+b+c", red=2, nir=0)
    assert [row["channel"] for row in result.tables["channels"]] == ["a", "b", "c"]
    raw = result.tables["ndvi"][0]
    assert raw["mean"] == pytest.approx(((array[0] - array[2]) / (array[0] + array[2] + 1e-8)).mean())
    assert len(result.tables["correlations"]) == 3
    assert {claim.seeds for claim in result.claims} == {(42,)}


def test_a_vegetation_that_survives_is_said_to(tmp_path):
    """Both channels in the same range: clipping changes next to nothing, so the verdict is the other one."""
    row = np.linspace(0, 1, 50)
    np.save(tmp_path / "x.npy", np.stack(np.meshgrid(row, row)))
    verdicts = {c.statement: c.verdict for c in run(image=str(tmp_path / "x.npy"), red=0, nir=1).claims}
    assert verdicts["NDVI survives normalisation (clipped to percentiles)"] == "holds"
    assert verdicts["most raw pixels have an NDVI above 0.3"] == "fails"


def test_constant_channels_have_reasons(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 5, 5)))
    result = run(image=str(tmp_path / "x.npy"))
    for row in result.tables["channels"]:
        assert row["z_scored_mean"] is None
        assert row["reason"] == "a constant channel cannot be scaled"
    for row in result.tables["correlations"]:
        assert row["raw"] is None
        assert row["reason"] == "a constant channel has no correlation"
    verdicts = {claim.statement.partition("(")[0].strip(): claim.verdict for claim in result.claims}
    assert verdicts.pop("most raw pixels have an NDVI above 0.3") == "fails"  # 0 everywhere
    assert verdicts.pop("most raw pixels have an NDVI above 0.3 because NIR dominates") == "fails"
    assert set(verdicts.values()) == {"undecided"}


def test_what_has_no_scale_has_no_ndvi(tmp_path):
    """Red is constant but for one pixel: it has z-scores, but its percentiles are equal."""
    array = RandomState(0).rand(4, 20, 20) + 1
    array[0] = 1
    array[0, 0, 0] = 5
    np.save(tmp_path / "x.npy", array)
    result = run(image=str(tmp_path / "x.npy"))
    red = result.tables["channels"][0]
    assert red["z_scored_standard_deviation"] == pytest.approx(1)
    assert red["clipped_mean"] is None
    assert red["reason"] == "the 2nd and the 98th percentile are equal: nothing to scale between them"
    raw, clipped, scored = result.tables["ndvi"]
    assert None not in raw.values()
    assert None not in scored.values()
    assert clipped["mean"] is clipped["vegetation_share"] is clipped["rank_correlation_with_raw"] is None
    assert clipped["reason"] == "no pixel has a defined NDVI: a channel has no scale, or both add up to 0"
    pair = result.tables["correlations"][0]
    assert pair["clipped"] is None
    assert pair["z_scored"] == pytest.approx(pair["raw"])
    assert pair["reason"] == "a channel that cannot be scaled has no correlation"
    verdicts = [c.verdict for c in result.claims if "clipped to percentiles" in c.statement]
    assert verdicts == ["undecided", "undecided"]
    np.save(tmp_path / "x.npy", RandomState(0).rand(4, 5, 5) * 1e-300)
    row = run(image=str(tmp_path / "x.npy")).tables["channels"][0]
    assert row["z_scored_mean"] is None
    assert row["reason"] == "a spread this small cannot be divided by"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"red": 4}, "red = 4: the image has 4 channels, 0 to 3"),
        ({"nir": 9}, "nir = 9: the image has 4 channels, 0 to 3"),
        ({"names": "a+b"}, "names = 'a+b': 4 different names are needed, one a channel"),
        ({"names": "a+b+c+a"}, "4 different names are needed"),
    ],
)
def test_channels_that_are_not_there(tmp_path, given, words):
    np.save(tmp_path / "x.npy", np.ones((4, 5, 5)))
    with pytest.raises(UserError) as caught:
        run(image=str(tmp_path / "x.npy"), **given)
    assert words in caught.value.messages[0]


def test_the_drawn_image_has_its_own_names():
    with pytest.raises(UserError, match="names, red and nir describe your own image; give it with image=PATH"):
        run(red=1)
