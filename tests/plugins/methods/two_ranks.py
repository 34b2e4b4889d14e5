"""One rank of two: a step of a method on half a batch, as ``DistributedDataParallel`` would average it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import distributed

from sslbench import BuildContext
from sslbench.contracts.method import Progress
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyTokenBackbone
from sslbench_plugins.blocks.distributed import sync_batch_norms

BATCH = 8
"""images over all ranks"""
SMALL = {
    "moco": {"queue_size": 24, "dim": 8, "symmetric": True},
    "moco-v3": {"hidden_dim": 16, "dim": 8},
    "byol": {"hidden_dim": 16, "dim": 8},
    "simsiam": {"projector_dim": 16, "predictor_dim": 8},
    "dino": {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "head_norm": True, "local_crops": 2},
    "mae": {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2},
}


def step(name: str, rank: int, ranks: int) -> dict[str, torch.Tensor]:
    """Loss, gradients and buffers after one step of ``method`` on this rank's share of one batch."""
    spec = Registry().get("method", name)
    torch.manual_seed(0)
    context = {"classes": 3} if spec.uses_labels else {}
    ratio = 0.75 if "masking" in spec.uses else None
    method = spec.build(
        spec.params(**SMALL.get(name, {})),
        BuildContext(backbone=TinyTokenBackbone(), image_size=16, mask_ratio=ratio, **context),
    )
    if ranks > 1:
        sync_batch_norms(method)
    method.train()
    generator = torch.Generator().manual_seed(1)
    views = [torch.randn(BATCH, 3, view.size, view.size, generator=generator) for view in method.views]
    share = slice(rank * BATCH // ranks, (rank + 1) * BATCH // ranks)
    mask = None
    if ratio is not None:
        patches = method.mask_grid[0] * method.mask_grid[1]
        mask = (torch.rand(BATCH, patches, generator=generator).argsort(1) < method.masked_patches)[share]
    labels = {"labels": (torch.arange(BATCH) % 3)[share]} if spec.uses_labels else {}
    progress = Progress(3, 10, 1, 2)
    loss, _ = method([view[share] for view in views], mask=mask, progress=progress, **labels)
    loss.backward()
    out = {"loss": loss.detach().clone()}
    for parameter_name, parameter in method.named_parameters():
        if parameter.grad is not None:
            out[f"grad/{parameter_name}"] = parameter.grad.clone()
    if ranks > 1:
        for tensor in out.values():
            distributed.all_reduce(tensor)
            tensor /= ranks
    method.after_step(progress)
    buffers = {f"buffer/{key}": value for key, value in method.named_buffers() if value.is_floating_point()}
    return out | {key: value.detach().clone().contiguous() for key, value in buffers.items()}


def main() -> None:
    names, rank, ranks, folder = sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    torch.set_num_threads(1)
    if ranks > 1:
        store = distributed.FileStore(str(folder / "store"), ranks)
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    tensors = {f"{name}:{key}": value for name in names for key, value in step(name, rank, ranks).items()}
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{ranks}-{rank}.safetensors")
    if ranks > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
