from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
import torch

from sslbench_plugins.blocks.objectives.sinkhorn import sinkhorn


def plain(scores, epsilon, iterations, weights=None):
    """Caron et al. 2020, equation 5 and appendix A, one entry at a time: every column of the weighted rows gets the
    same sum, then every row a sum of 1."""
    q = [[math.exp(value / epsilon) for value in row] for row in scores.tolist()]
    weights = [1.0] * len(q) if weights is None else weights.tolist()
    for _ in range(iterations):
        for column in range(len(q[0])):
            total = sum(weight * row[column] for weight, row in zip(weights, q, strict=True))
            for row in q:
                row[column] *= sum(weights) / len(row) / total
        q = [[value / sum(row) for value in row] for row in q]
    return torch.tensor([[value / sum(row) for value in row] for row in q], dtype=torch.float64)


def cosines(rows=9, prototypes=5, seed=0):
    return torch.rand(rows, prototypes, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("iterations", [0, 1, 3, 10])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize("weighted", [False, True])
def test_codes_equal_a_plain_loop(iterations, epsilon, weighted):
    scores = cosines()
    weights = torch.tensor([1.0, 0, 2, 0.5, 1, 0, 1, 1, 3]) if weighted else None
    codes = sinkhorn(scores, epsilon, iterations, weights)
    assert torch.allclose(codes.double(), plain(scores.double(), epsilon, iterations, weights), atol=1e-6)


def test_every_row_is_a_distribution_and_every_prototype_gets_its_share():
    codes = sinkhorn(cosines(64, 8), 0.1, 100)
    assert torch.allclose(codes.sum(1), torch.ones(64))
    assert torch.allclose(codes.sum(0), torch.full((8,), 8.0), atol=1e-3)


def test_without_an_iteration_codes_are_a_softmax():
    scores = cosines()
    assert torch.allclose(sinkhorn(scores, 0.2, 0), (scores / 0.2).softmax(1), atol=1e-6)


def test_rows_of_no_weight_change_nothing_and_a_weight_of_two_is_a_row_twice():
    scores = cosines()
    weights = torch.tensor([1.0, 1, 1, 1, 1, 1, 0, 0, 0])
    few = sinkhorn(scores[:6], 0.05, 3)
    assert torch.allclose(sinkhorn(scores, 0.05, 3, weights)[:6], few, atol=1e-6)
    twice = sinkhorn(torch.cat([scores, scores[:1]]), 0.05, 3)
    weights = torch.tensor([2.0, *[1.0] * 8])
    assert torch.allclose(sinkhorn(scores, 0.05, 3, weights), twice[:9], atol=1e-6)


def test_where_no_row_counts_codes_are_a_softmax():
    scores = cosines()
    assert torch.allclose(sinkhorn(scores, 0.2, 3, torch.zeros(9)), (scores / 0.2).softmax(1), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_codes_are_finite_at_every_scale_and_without_gradients(scale, dtype):
    scores = (cosines() * scale).to(dtype).requires_grad_()
    codes = sinkhorn(scores, 0.05, 3)
    assert codes.dtype == torch.float32
    assert torch.isfinite(codes).all()
    assert torch.allclose(codes.sum(1), torch.ones(9))
    assert not codes.requires_grad


def test_under_autocast_codes_are_those_of_full_precision():
    scores = cosines()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(sinkhorn(scores, 0.05, 3), sinkhorn(scores.clone(), 0.05, 3))
    assert torch.allclose(sinkhorn(scores, 0.05, 3).double(), plain(scores.double(), 0.05, 3), atol=1e-6)


RANK = """
import json, sys, torch
from sslbench.train.ranks import process_group
from sslbench_plugins.blocks.objectives.sinkhorn import sinkhorn
scores, weights, rank, where = json.loads(sys.argv[1])
scores, weights = (torch.tensor(values)[5 * rank : 5 * rank + 5] for values in (scores, weights))
with process_group(torch.device("cpu"), init_method=where, rank=rank, world_size=2):
    print(json.dumps(sinkhorn(scores, 0.05, 3, weights).tolist()))
"""


def test_two_ranks_give_their_rows_the_codes_of_all_rows_together(tmp_path):
    scores, weights = cosines(10), torch.tensor([1.0, 0, 2, 1, 1, 0, 0, 0, 0, 3])
    given = [[scores.tolist(), weights.tolist(), rank, f"file://{tmp_path}/store"] for rank in range(2)]
    calls = [[sys.executable, "-c", RANK, json.dumps(one)] for one in given]
    running = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for call in calls]
    parts = [torch.tensor(json.loads(process.communicate(timeout=60)[0])) for process in running]
    assert torch.allclose(torch.cat(parts), sinkhorn(scores, 0.05, 3, weights), atol=1e-6)
