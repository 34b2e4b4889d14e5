"""Where a pretrained model comes from: parameters and presets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sslbench import Params, param
from sslbench_plugins.blocks.networks.copies import Which
from sslbench_plugins.blocks.networks.model_files import HUB
from sslbench_plugins.methods.pretrained.presets import PRESETS

SOURCES = "name= (timm's, or hf-hub:OWNER/MODEL), path= (a file or folder) or hub= (OWNER/REPO:ENTRY)"

Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0, le=1)]
Channels = tuple[Share, Share, Share]
Deviations = tuple[Spread, Spread, Spread]
Pool = Literal["own", "class", "mean"]


class PretrainedParams(Params):
    """One source of a model, and the size of its input."""

    name: str = param("", "timm's name, such as resnet50.a1_in1k, or hf-hub:OWNER/MODEL; of a file, its architecture")
    path: str = param("", "weights on this machine: a folder that `sslbench export` or timm wrote, or a file")
    hub: str = param("", "torch.hub: OWNER/REPO:ENTRY or FOLDER:ENTRY, such as facebookresearch/dinov2:dinov2_vits14")
    size: int = param(0, "side of the images that it is given; 0: its own", ge=0, unit="px")
    mean: Channels | None = param(None, "subtracted from red, green and blue, of values in 0..1; null: its own")
    std: Deviations | None = param(None, "red, green and blue are divided by it, of values in 0..1; null: its own")
    crop: float | None = param(None, "share of the side that the centre crop keeps; null: its own", gt=0, le=1)
    interpolation: Literal["bilinear", "bicubic"] | None = param(None, "of the resize before it; null: its own")
    pool: Pool = param("own", "features: by the model's own pooling, its class token, or the mean of its patches")
    blocks: int = param(1, "features of that many last blocks, side by side (DINO's linear evaluation: 4)", ge=1)
    weights: Which = param("auto", "of a file with several copies: their moving average (ema) or the weights (raw)")
    allow_unused: bool = param(False, "take weights of a larger network and leave out what this one does not have")
    licence: str = param("", "of weights on this machine, as SPDX writes it; empty: what their configuration says")

    @property
    def location(self) -> Path:
        """``path``, with the home folder filled in."""
        return Path(os.path.expanduser(self.path))

    @model_validator(mode="after")
    def _one_source(self) -> PretrainedParams:
        sources = [key for key in ("name", "path", "hub") if getattr(self, key)]
        if not sources:
            raise ValueError(f"no model is named; give {SOURCES}, or preset= one of {', '.join(PRESETS)}")
        if sources not in (["name"], ["path"], ["hub"], ["name", "path"]) or (self.path and self.name.startswith(HUB)):
            raise ValueError(
                f"{' and '.join(sources)} are given together; give one of {SOURCES}; a file also takes name="
            )
        return self

    @model_validator(mode="after")
    def _pooled_tokens(self) -> PretrainedParams:
        if self.hub and (self.pool, self.blocks) != ("own", 1):
            raise ValueError("pool and blocks need a model with tokens; one of torch.hub gives features alone")
        return self
