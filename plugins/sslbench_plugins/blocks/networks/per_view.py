"""One network over several views."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn

from sslbench_plugins.blocks.distributed.sync_batch_norm import SyncBatchNorm

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, SyncBatchNorm)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether any part of the network takes statistics over the batch."""
    return any(isinstance(module, BATCH_NORMS) for module in network.modules())


def per_view(network: nn.Module, views: Sequence[Tensor]) -> list[Tensor]:
    """The network's output for each view, ``[B, D]`` each.

    In one pass where that is the same. Batch norm would take its statistics over all views at once, which is another
    method for BYOL, SimSiam and MoCo v3: their codes pass the views one after the other.
    """
    if has_batch_norm(network):
        return [network(view) for view in views]
    return list(network(cat(list(views))).chunk(len(views)))
