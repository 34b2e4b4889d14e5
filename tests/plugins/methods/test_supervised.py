from __future__ import annotations

import torch
from torch.nn import functional

from sslbench.contracts.method import Progress
from sslbench.testing.fakes import TinyBackbone
from sslbench_plugins.methods.supervised import Supervised, SupervisedParams


def test_the_loss_is_the_cross_entropy_of_one_linear_layer():
    torch.manual_seed(0)
    method = Supervised(SupervisedParams(), TinyBackbone(), 8, classes=3)
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 3
    expected = functional.nll_loss(method.head(method.backbone(images)).log_softmax(1), labels)
    loss, _ = method([images], masks=(), progress=Progress(0, 1, 0, 1), labels=labels)
    assert torch.allclose(loss, expected, rtol=1e-6)
    assert method.encoder is method.backbone
