"""What its authors test: the loss against the formula of the paper, and the support set."""

import math

import pytest
import torch
from petrel.nnclr import NNCLR, NNCLRParams

from sslbench import Progress
from sslbench.testing.fakes import TinyBackbone


def method(**given):
    torch.manual_seed(0)
    return NNCLR(NNCLRParams(support=8, hidden=6, dim=3, **given), TinyBackbone(), 16)


def test_the_loss_is_that_of_equation_2():
    nnclr = method(temperature=0.3).eval()
    embeddings, predictions = torch.nn.functional.normalize(torch.randn(2, 4, 3), dim=2)
    expected = 0.0
    for i in range(4):
        friend = max(nnclr.queue, key=lambda q: float(q @ embeddings[i]))
        scores = [math.exp(float(friend @ predictions[k]) / 0.3) for k in range(4)]
        expected -= math.log(scores[i] / sum(scores)) / 4
    assert float(nnclr.one_way(embeddings, predictions)) == pytest.approx(expected, rel=1e-5)


def test_the_oldest_embeddings_make_room():
    nnclr = method()
    before = nnclr.queue.clone()
    images = torch.randn(2, 5, 3, 16, 16)
    for _ in range(2):
        nnclr(list(images), masks=(), progress=Progress(0, 1, 0, 1))
        nnclr.after_step(Progress(0, 1, 0, 1))
    assert int(nnclr.oldest) == 2
    assert not torch.isclose(nnclr.queue, before).all(dim=1).any()
