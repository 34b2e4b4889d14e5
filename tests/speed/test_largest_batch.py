from __future__ import annotations

import pytest

from sslbench.speed.largest_batch import by_growth, by_trying


@pytest.mark.parametrize("room", [2, 3, 7, 16, 100, 1000, 4097])
def test_the_largest_batch_is_found_to_an_eighth(room):
    tried = []

    def fits(size):
        tried.append(size)
        return size <= room

    limit = by_trying(fits)
    assert limit.batch <= room < limit.batch + max(1, limit.batch // 8) + 1
    assert len(tried) == len(set(tried)) <= 20


def test_where_nothing_fits_there_is_no_batch():
    limit = by_trying(lambda size: False)
    assert (limit.batch, limit.how) == (None, "not even 2 images fit")


def test_trying_ends_at_the_limit():
    assert by_trying(lambda size: True, most=1000).batch >= 512


def test_a_line_through_two_peaks_reaches_the_available_memory():
    limit = by_growth(lambda size: 1000 + 50 * size, available=10_000)
    assert limit.batch == (9000 - 1000) // 50
    assert "90% of the available memory" in limit.how


@pytest.mark.parametrize(
    ("peak", "available", "words"),
    [
        (lambda size: None, 1000, "does not say how much memory"),
        (lambda size: 50, None, "does not say how much memory"),
        (lambda size: 50, 1000, "do not differ"),
    ],
)
def test_what_cannot_be_known_is_said(peak, available, words):
    limit = by_growth(peak, available)
    assert limit.batch is None
    assert words in limit.how


def test_too_little_memory_for_two_images_is_no_batch():
    assert by_growth(lambda size: 1000 * size, available=1500).batch is None
