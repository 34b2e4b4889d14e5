from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from PIL import Image
from scipy import ndimage

from sslbench.claims.simulate import simulate
from sslbench_plugins.simulators.augmentation_validator.claims import claims
from sslbench_plugins.simulators.augmentation_validator.tables import (
    VIEWS,
    Measured,
    anatomy_kept,
    brightness,
    larger_half,
    scene,
    signal_kept,
)


def run(seed=42, **given):
    (simulation,) = simulate(["augmentation-validator"], seed=seed, given={"claim_seeds": 1, **given})
    return simulation.result


def plain(seed):
    """Scene and views, written out pixel by pixel where that is short; one generator throughout."""
    rng = RandomState(seed)
    image = rng.normal(128, 15, (64, 64))
    for row in range(64):
        for col in range(64):
            if (col - 20) ** 2 + (row - 32) ** 2 <= 100:
                image[row, col] = 200
            if (col - 45) ** 2 + (row - 30) ** 2 <= 25:
                image[row, col] = 180
    image = np.clip(image, 0, 255)
    views = {"rotation": ndimage.rotate(image, 10, reshape=False, mode="nearest"), "flip": np.fliplr(image)}
    dx = ndimage.gaussian_filter(rng.randn(64, 64), 4) * 30
    dy = ndimage.gaussian_filter(rng.randn(64, 64), 4) * 30
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    positions = np.array([np.clip(y + dy, 0, 63), np.clip(x + dx, 0, 63)])
    views["elastic"] = ndimage.map_coordinates(image, positions, order=1)
    views["brightness"] = np.clip(image * 1.2, 0, 255)
    views["noise"] = np.clip(image + rng.randn(64, 64) * 0.05 * 255, 0, 255)
    return image, views


@pytest.mark.parametrize("seed", [42, 0, 7])
def test_the_table_is_the_definition(seed):
    image, views = plain(seed)
    rows = run(seed).tables["augmentations"]
    assert [row["augmentation"] for row in rows] == list(views)
    for row, view in zip(rows, views.values(), strict=True):
        left_before, left_after = (one[:, :32].sum() > one[:, 32:].sum() for one in (image, view))
        assert row["anatomy_kept"] == bool(left_before == left_after)
        assert row["signal_kept"] == pytest.approx(np.corrcoef(image.ravel(), view.ravel())[0, 1], abs=1e-12)


def test_brightness_keeps_the_signal_until_it_clips():
    image = scene(RandomState(42))
    for row in run().tables["brightness"]:
        view = np.clip(image * row["factor"], 0, 255)
        assert row["clipped_share"] == (image * row["factor"] > 255).mean()
        assert row["signal_kept"] == pytest.approx(np.corrcoef(image.ravel(), view.ravel())[0, 1], abs=1e-9)
        assert (row["signal_kept"] == 1) == (row["clipped_share"] == 0)


def test_an_affine_change_without_clipping_keeps_all():
    image = np.linspace(10, 200, 64).reshape(8, 8)
    assert signal_kept(image, brightness(image, factor=1.25)) == 1
    assert signal_kept(image, 255 - image) == -1
    assert signal_kept(image, np.full((8, 8), 3.0)) is None


def test_halves():
    image = np.zeros((4, 4))
    assert larger_half(image) is None
    assert anatomy_kept(image, image) is None
    image[0, 1] = 1
    assert larger_half(image) == "left"
    assert anatomy_kept(image, image) is True
    assert anatomy_kept(image, image[:, ::-1]) is False
    assert larger_half(np.array([[0.0, 9.0, 1.0]])) == "right"  # the middle column counts for neither
    for wrong in (np.zeros(4), np.zeros((3, 1)), np.zeros((2, 2, 3))):
        with pytest.raises(ValueError, match=r"expected \[H, W\] with W of 2 or more"):
            larger_half(wrong)


def test_claims_are_computed_from_the_seeds():
    claims = run(claim_seeds=3).claims
    verdicts = {claim.statement: claim.verdict for claim in claims}
    assert verdicts["brightness keeps the signal best"] == "holds"
    by_factor = [v for s, v in verdicts.items() if "perfectly" in s]
    assert by_factor == ["holds", "fails"]
    assert all("true on" in claim.measured for claim in claims)


def test_a_claim_turns_with_what_is_measured(monkeypatch):
    monkeypatch.setitem(VIEWS, "flip", lambda image, rng: image)
    monkeypatch.setitem(VIEWS, "brightness", lambda image, rng: image[::-1])
    verdicts = {claim.statement: claim.verdict for claim in run(claim_seeds=2).claims}
    assert verdicts["horizontal flipping is the only one of the five that breaks the anatomy"] == "fails"
    assert verdicts["brightness keeps the signal best"] == "fails"


def test_the_best_of_equals_is_the_best(tmp_path):
    """Of a symmetrical image the flip keeps all, as brightness does."""
    half = RandomState(0).randint(0, 200, (16, 8)).astype(np.uint8)
    Image.fromarray(np.hstack([half, half[:, ::-1]])).save(tmp_path / "x.png")
    result = run(image=str(tmp_path / "x.png"), size=16, augmentations="flip+brightness")
    assert [row["signal_kept"] for row in result.tables["augmentations"]] == [1, 1]
    # The halves are equal, so that the anatomy is undefined on every seed; where it is not, brightness is still best.
    verdicts = {claim.statement: claim.verdict for claim in claims({42: all_kept(1.0)})}
    assert verdicts["brightness keeps the signal best"] == "holds"


def all_kept(*signals):
    views = {name: {"augmentation": name, "anatomy_kept": True, "signal_kept": 1.0} for name in VIEWS}
    return Measured(views, [{"signal_kept": signal} for signal in signals])


@pytest.mark.parametrize(("signal", "verdict"), [(1.0, "undecided"), (0.9, "fails")])
def test_a_factor_that_leaves_a_constant_image_decides_nothing(signal, verdict):
    measured = {42: all_kept(signal, None)}
    (claim,) = [claim for claim in claims(measured) if "at every factor" in claim.statement]
    assert claim.verdict == verdict


def test_own_image_and_registered_augmentations(tmp_path):
    pixels = RandomState(0).randint(0, 256, (30, 50, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    given = {"image": str(tmp_path / "x.png"), "size": 30, "augmentations": "none+simclr:strength=0.1+flip"}
    result = run(**given)
    rows = {row["augmentation"]: row for row in result.tables["augmentations"]}
    assert list(rows) == ["none", "simclr:strength=0.1", "flip"]
    assert rows["none"]["signal_kept"] == pytest.approx(1, abs=1e-6)
    assert rows["none"]["anatomy_kept"] is True
    grey = pixels[:, 10:40].mean(axis=2)
    assert rows["flip"]["signal_kept"] == pytest.approx(np.corrcoef(grey.ravel(), grey[:, ::-1].ravel())[0, 1])
    assert run(**given).tables == result.tables


def test_a_constant_image_has_reasons_and_no_verdict(tmp_path):
    Image.new("L", (16, 16), 90).save(tmp_path / "x.png")
    result = run(image=str(tmp_path / "x.png"), size=16)
    for row in result.tables["augmentations"]:
        if row["augmentation"] != "noise":
            assert row["signal_kept"] is None
            assert "a constant image has no correlation" in row["reason"]
    assert {claim.verdict for claim in result.claims} == {"undecided"}
