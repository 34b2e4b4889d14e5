from __future__ import annotations

import subprocess
import sys
from hashlib import blake2b

import numpy as np

from sslbench_plugins.blocks.scenes.counter import Counter


def splitmix(state):
    """The published generator, in whole numbers of any length."""
    full = 2**64 - 1
    z = (state + 0x9E3779B97F4A7C15) & full
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
    return z ^ (z >> 31)


def test_the_published_generator_with_seed_zero():
    # The first outputs for seed 0, as in the reference implementation's tests.
    states = [(index * 0x9E3779B97F4A7C15) & (2**64 - 1) for index in range(3)]
    assert [splitmix(state) for state in states] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_each_number_is_the_generators_output_for_its_place():
    key = int.from_bytes(blake2b(b"name", digest_size=8).digest(), "little")
    rows = Counter("name", 5).rows(np.array([7, 0, 123_456_789_012]))
    for row, index in zip(rows, (7, 0, 123_456_789_012), strict=True):
        for column, value in enumerate(row):
            state = (key + (index * 5 + column) * 0x9E3779B97F4A7C15) & (2**64 - 1)
            assert value == (splitmix(state) >> 11) / 2**53


def test_they_are_uniform_and_columns_are_independent():
    values = Counter("uniform", 4).rows(np.arange(20_000))
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in values.T])
    # Twenty bins of 1,000 each: six standard deviations of 31.
    assert np.abs(counts - 1000).max() < 190
    assert np.abs(np.corrcoef(values.T) - np.eye(4)).max() < 0.04


def test_names_and_processes():
    here = Counter("a", 3).rows(np.arange(4))
    assert not np.array_equal(here, Counter("b", 3).rows(np.arange(4)))
    code = (
        "import numpy; from sslbench_plugins.blocks.scenes.counter import Counter;"
        "print(Counter('a', 3).rows(numpy.arange(4)).tobytes().hex())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == here.tobytes().hex()
