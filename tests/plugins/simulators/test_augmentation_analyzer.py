from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from PIL import Image
from scipy.ndimage import gaussian_filter

from sslbench.claims.simulate import simulate
from sslbench_plugins.simulators.augmentation_analyzer import tables
from sslbench_plugins.simulators.augmentation_analyzer.tables import VIEWS, drawn_image, overlaps

FIVE = ["crop", "flip", "brightness", "blur", "greyscale"]


def run(seed=42, **given):
    (simulation,) = simulate(["augmentation-analyzer"], seed=seed, given={"claim_seeds": 1, "draws": 20, **given})
    return simulation.result


def test_the_image_pixel_by_pixel():
    image = drawn_image()
    for row in range(64):
        for col in range(64):
            colour = (128, 128, 128)
            if (row - 16) ** 2 + (col - 16) ** 2 <= 100:
                colour = (255, 0, 0)
            if 40 <= row <= 55 and 40 <= col <= 57:
                colour = (0, 0, 255)
            if abs(row - col) <= 3:
                colour = (0, 255, 0)
            assert tuple(image[:, row, col]) == colour


def test_pairs_without_chance_are_the_definition():
    image = drawn_image()
    plain = {
        "flip": image[:, :, ::-1],
        "blur": np.stack([gaussian_filter(channel, 2.0) for channel in image]),
        "greyscale": np.stack([image.mean(axis=0)] * 3),
    }
    rows = {(row["first"], row["second"]): row for row in run().tables["pairs"]}
    assert len(rows) == 25
    for a, one in plain.items():
        for b, other in plain.items():
            expected = np.corrcoef(one.ravel(), other.ravel())[0, 1]
            assert rows[a, b]["pair_correlation"] == pytest.approx(expected, abs=1e-12)
            assert rows[a, b]["composed_correlation"] == 1


def test_pairs_with_chance_are_the_mean_over_independent_draws():
    """Against views made one at a time, from another generator: equal but for the error of both means."""
    image, rng, draws = drawn_image(), RandomState(0), 300

    def view(name, picture):
        if name == "crop":
            top, left = rng.randint(0, 17, 2)
            cut = picture[:, top : top + 48, left : left + 48].astype(np.float32)
            resized = [Image.fromarray(c).resize((64, 64), Image.Resampling.BILINEAR) for c in cut]
            return np.stack([np.asarray(c) for c in resized]).astype(float)
        if name == "brightness":
            return np.clip(picture * rng.uniform(0.8, 1.2), 0, 255)
        return np.stack([gaussian_filter(channel, 2.0) for channel in picture])

    for reading, first, second in (
        ("pair", "crop", "brightness"),
        ("pair", "crop", "crop"),
        ("pair", "brightness", "brightness"),
        ("composed", "crop", "blur"),
        ("composed", "brightness", "crop"),
    ):
        plain = []
        for _ in range(draws):
            if reading == "pair":
                one, other = view(first, image), view(second, image)
            else:
                one, other = view(second, view(first, image)), view(second, view(first, image))
            plain.append(np.corrcoef(one.ravel(), other.ravel())[0, 1])
        values = overlaps(image, VIEWS[first], VIEWS[second], reading, draws, RandomState(1))
        error = np.hypot(np.std(plain), values.std()) / np.sqrt(draws)
        assert abs(values.mean() - np.mean(plain)) < 4 * error + 1e-9
        assert values.std() == pytest.approx(np.std(plain), rel=0.25)


def test_brightness_overlaps_in_closed_form():
    """Without clipping a factor changes no correlation; with it the greens, reds and blues stay behind the grey."""
    dark = drawn_image() / 2
    assert (overlaps(dark, VIEWS["brightness"], VIEWS["brightness"], "pair", 50, RandomState(0)) == 1).all()
    assert overlaps(drawn_image(), VIEWS["brightness"], VIEWS["brightness"], "pair", 50, RandomState(0)).min() < 1


def test_matrices_extremes_and_self_pairs_are_of_the_pairs():
    tables = run().tables
    rows = {(row["first"], row["second"]): row for row in tables["pairs"]}
    for reading in ("pair", "composed"):
        for row in tables[f"{reading}_matrix"]:
            for name in FIVE:
                assert row[name] == rows[row["first"], name][f"{reading}_correlation"]
        values = [row[f"{reading}_correlation"] for row in rows.values()]
        extremes = {row["which"]: row for row in tables["extremes"] if row["reading"] == reading}
        assert extremes["hardest"]["correlation"] == min(values)
        assert extremes["easiest"]["correlation"] == max(values) == 1
    assert tables["extremes"][1]["pairs"] == "flip + flip, blur + blur, greyscale + greyscale"
    selves = {row["augmentation"]: row for row in tables["self_pairs"]}
    assert list(selves) == [*FIVE, "all"]
    assert selves["flip"]["share_exactly_one"] == selves["blur"]["minimum"] == 1
    assert selves["crop"]["mean"] == rows["crop", "crop"]["pair_correlation"]
    assert selves["all"]["mean"] == pytest.approx(np.mean([selves[name]["mean"] for name in FIVE]))


def test_a_pair_has_the_same_draws_beside_whichever_others():
    all_five = {(r["first"], r["second"]): r for r in run().tables["pairs"]}
    two = run(augmentations="brightness+crop").tables["pairs"]
    assert len(two) == 4
    assert all(row == all_five[row["first"], row["second"]] for row in two)


def test_many_draws_are_made_in_parts(monkeypatch):
    """The first part is what fewer draws are, and the parts after it are drawn on from the same generator."""
    image = drawn_image()
    few = overlaps(image, VIEWS["crop"], VIEWS["brightness"], "pair", 4, RandomState(0))
    monkeypatch.setattr(tables, "PART", 4 * image.size)
    many = overlaps(image, VIEWS["crop"], VIEWS["brightness"], "pair", 10, RandomState(0))
    assert many.shape == (10,)
    assert (many[:4] == few).all()
    assert len(set(many)) > 4
    assert overlaps(image, VIEWS["flip"], VIEWS["blur"], "pair", 10, RandomState(0)).shape == (10,)


def test_verdicts():
    claims = {claim.statement: claim.verdict for claim in run(claim_seeds=3).claims}
    selves = {
        s.partition("(")[2].split(",")[0]: v for s, v in claims.items() if "one view by each" in s and "under one" in s
    }
    assert selves == {"crop": "fails", "flip": "fails", "brightness": "holds", "blur": "fails", "greyscale": "fails"}
    assert [v for s, v in claims.items() if "jitter" in s] == ["holds", "holds"]


def test_own_image_and_registered_augmentations(tmp_path):
    pixels = RandomState(0).randint(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    given = {"image": str(tmp_path / "x.png"), "size": 16, "augmentations": "none+simclr+blur", "draws": 5}
    rows = {(row["first"], row["second"]): row for row in run(**given).tables["pairs"]}
    assert len(rows) == 9
    assert rows["none", "none"]["pair_correlation"] == 1
    assert rows["simclr", "simclr"]["pair_correlation"] < 0.999
    assert run(**given).tables == run(**given).tables
    claims = {claim.statement: claim.verdict for claim in run(**given).claims}
    own = [v for s, v in claims.items() if "(none, " in s]
    assert own == ["fails", "fails"]  # nothing done is perfect
    assert len([s for s in claims if "(simclr, " in s]) == 2


def test_a_constant_image_has_reasons(tmp_path):
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "x.png")
    result = run(image=str(tmp_path / "x.png"), size=16)
    for row in result.tables["pairs"]:
        assert row["pair_correlation"] is row["composed_correlation"] is None
        assert row["reason"] == "a view was constant, which has no correlation, in 20 of 20 draws"
    assert all(row["reason"] for rows in result.tables.values() for row in rows)
    assert {claim.verdict for claim in result.claims} == {"undecided"}


def test_wrong_readings_and_no_draws_are_errors():
    image = drawn_image()
    for reading, draws in (("both", 1), ("pair", 0)):
        with pytest.raises(ValueError, match="readings are pair and composed, draws 1 or more"):
            overlaps(image, VIEWS["flip"], VIEWS["flip"], reading, draws, RandomState(0))
