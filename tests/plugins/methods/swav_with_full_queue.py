"""SwAV as it is when its queue is full: codes are shared among past embeddings too."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from sslbench_plugins.methods import swav


def build(params, context):
    method = swav.SwAV(params, context.backbone, context.image_size)
    rows = torch.randn(params.queue_size, 2, params.dim, generator=torch.Generator().manual_seed(3))
    method.queue.keys.copy_(functional.normalize(rows, dim=2).flatten(1))
    return method


def sslbench_methods():
    (spec,) = swav.sslbench_methods()
    return [replace(spec, name="swav-with-full-queue", build=build)]
