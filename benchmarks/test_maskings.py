"""Time to draw the masks of one batch, one thread: what a masking adds to a training step."""

from __future__ import annotations

import warnings

import pytest
import torch

from sslbench import BuildContext, masked_count
from sslbench.hooks.registry import Registry

REGISTRY = Registry()
BATCH = 256
RATIO = 0.75


@pytest.mark.parametrize("side", [8, 14])
@pytest.mark.parametrize("name", REGISTRY.catalogue.names("masking"))
def test_the_masks_of_a_batch(benchmark, name, side):
    spec = REGISTRY.get("masking", name)
    masking, generator = spec.build(spec.params(), BuildContext()), torch.Generator().manual_seed(0)
    benchmark.group = f"masks {side} x {side}"
    benchmark.extra_info["masks"] = BATCH
    if name == "random":
        benchmark.extra_info["against"] = "lightly"
    mask = benchmark(masking.sample, BATCH, (side, side), RATIO, generator)
    assert mask.sum(dim=1).unique().tolist() == [masked_count(side * side, RATIO)]


@pytest.mark.parametrize("side", [8, 14])
def test_the_masks_of_a_batch_by_lightly(benchmark, side):
    """Indices to keep and to mask, with a class token in front."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random_token_mask = pytest.importorskip("lightly.models.utils").random_token_mask
    benchmark.group = f"masks {side} x {side}"
    benchmark.extra_info.update(masks=BATCH, peer="lightly")
    kept, _ = benchmark(random_token_mask, size=(BATCH, side * side + 1), mask_ratio=RATIO)
    assert len(kept) == BATCH
