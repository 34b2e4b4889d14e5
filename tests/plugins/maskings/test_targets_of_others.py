"""What conformance says of maskings with several targets that break the contract."""

from __future__ import annotations

import pytest
import torch

from sslbench import MaskingSpec, masked_count
from sslbench.testing.conformance import problems


class Halves:
    """The first patches are the context, the last one each target."""

    def sample(self, batch, grid, ratio, generator):
        context, _ = self.sample_targets(batch, grid, ratio, generator)
        return torch.ones(batch, grid[0] * grid[1], dtype=torch.bool).scatter_(1, context, False)

    def sample_targets(self, batch, grid, ratio, generator):
        patches = grid[0] * grid[1]
        context = torch.arange(patches - masked_count(patches, ratio)).expand(batch, -1)
        return context, torch.full((batch, 2, 1), patches - 1)


class Overlapping(Halves):
    def sample_targets(self, *given):
        context, targets = super().sample_targets(*given)
        return context, torch.zeros_like(targets)


class Descending(Halves):
    def sample_targets(self, *given):
        context, targets = super().sample_targets(*given)
        return context.flip(1), targets


class Short(Halves):
    def sample_targets(self, *given):
        context, targets = super().sample_targets(*given)
        return context, targets[:, 0]


class Beyond(Halves):
    def sample_targets(self, *given):
        context, targets = super().sample_targets(*given)
        return context, targets + 1


class Moody(Halves):
    calls = 0

    def sample_targets(self, batch, grid, ratio, generator):
        Moody.calls += 1
        context, targets = super().sample_targets(batch, grid, ratio, generator)
        return context, targets.repeat(1, Moody.calls, 1)


class Other(Halves):
    def sample(self, *given):
        return super().sample(*given).flip(1)


@pytest.mark.parametrize(
    ("masking", "line"),
    [
        (Halves, None),
        (Overlapping, "a patch is in the context and in a target"),
        (Descending, "its patches are not ascending, each once"),
        (Short, "context [6, 12] and targets [6, 1], not [6, 12] and [6, K, M]"),
        (Beyond, "a patch that is not within 0..15"),
        (Moody, "not the same for the same generator state"),
        (Other, "sample must mask what is not in the context of sample_targets"),
    ],
)
def test_each_fault_is_named(masking, line):
    spec = MaskingSpec(name="m", summary="s", build=lambda params, context: masking())
    found = problems(spec)
    if line is None:
        calls = ("sample", "sample_targets")
        assert found == [f"masking 'm': {call} on a GPU: it returned a tensor on the CPU" for call in calls]
    else:
        assert f"masking 'm': grid 4 x 4, ratio 0.25: {line}" in found
