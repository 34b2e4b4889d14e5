from __future__ import annotations

import torch

from sslbench.train.randomness import Stream, seed_everything, stream_seed


def test_streams_are_apart_by_seed_purpose_and_step():
    seeds = {stream_seed(s, p, t) for s in range(5) for p in ("views", "masks") for t in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_stream_stands_at_a_step_whatever_came_before():
    stream = Stream(0, "views")
    first = torch.rand(3, generator=stream.at(7))
    torch.rand(3, generator=stream.at(8))
    assert torch.equal(first, torch.rand(3, generator=stream.at(7)))


def test_seeding_everything_repeats_the_global_generator():
    seed_everything(1, "init")
    first = torch.rand(2)
    seed_everything(1, "init")
    assert torch.equal(first, torch.rand(2))
