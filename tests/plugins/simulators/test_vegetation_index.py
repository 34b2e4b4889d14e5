from __future__ import annotations

import numpy as np
import pytest

from sslbench_plugins.simulators.scientific_image_analyzer.tables import (
    index_row,
    ndvi,
    percentile_clipped,
    vegetation_share,
    z_scored,
)

RNG = np.random.RandomState(0)


def test_ndvi_of_equal_channels_is_zero():
    channel = RNG.rand(4, 4)
    assert (ndvi(channel, channel) == 0).all()


def test_ndvi_by_hand():
    assert ndvi(np.array([[300.0, 0.0]]), np.array([[100.0, 0.0]])) == pytest.approx(np.array([[0.5, 0.0]]))


def test_ndvi_where_the_denominator_vanishes_is_nan_without_a_warning():
    assert np.isnan(ndvi(np.array([-1e-8]), np.array([0.0]))).all()


def test_ndvi_of_two_shapes_is_an_error():
    with pytest.raises(ValueError, match=r"NDVI of shapes \(2, 2\) and \(3, 2\)"):
        ndvi(np.ones((2, 2)), np.ones((3, 2)))


def test_the_vegetation_share_leaves_out_what_is_undefined():
    index = np.array([0.31, 0.3, np.nan, 0.9])
    assert vegetation_share(index) == pytest.approx(2 / 3)
    assert vegetation_share(np.array([np.nan])) is None


def test_z_scores():
    channels = RNG.rand(2, 5, 5) * np.array([1.0, 1000.0])[:, None, None]
    scored = z_scored(channels)
    assert scored.mean(axis=(1, 2)) == pytest.approx([0, 0], abs=1e-12)
    assert scored.std(axis=(1, 2)) == pytest.approx([1, 1])


def test_percentile_clipping():
    channel = np.arange(101.0).reshape(1, 1, 101)
    clipped = percentile_clipped(channel)[0, 0]
    assert clipped[[0, 2, 50, 98, 100]] == pytest.approx([0, 0, 0.5, 1, 1])


@pytest.mark.parametrize("scale", [z_scored, percentile_clipped])
def test_a_constant_channel_has_no_scale_and_gives_no_warning(scale):
    assert np.isnan(scale(np.full((1, 3, 3), 0.1))).all()


def test_a_row_of_what_is_undefined_says_why():
    nothing = np.full((2, 2), np.nan)
    row = index_row("clipped", nothing, nothing)
    assert row["mean"] is row["vegetation_share"] is row["rank_correlation_with_raw"] is None
    assert "no pixel has a defined NDVI" in row["reason"]
    assert index_row("raw", RNG.rand(3, 3), RNG.rand(3, 3))["reason"] == ""
