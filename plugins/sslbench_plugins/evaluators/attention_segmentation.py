"""The class token's attention in the last block, held against the objects: Jaccard index of each head.

Of each head's attention over the patches the strongest are kept until they hold ``mass`` of it; the patches kept are
a mask, each as large as its pixels, and its overlap with an object is their intersection over their union. An image's
figure is the mean over its objects, the metric the mean over the images that have any.

``attention_jaccard`` is the head that is best on training images, on test images. ``attention_jaccard_oracle`` is
what the authors of DINO report: the best head of each object, chosen knowing the answer. ``attention_jaccard_mean``
is the mean of all heads, and ``attention_jaccard@h`` head h, from 1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sslbench import EvaluatedModel, EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.networks.patches import to_patches
from sslbench_plugins.blocks.probes.frozen_tokens import BATCH, SplitName, why_no_tokens
from sslbench_plugins.blocks.probes.spread_out import spread_out

MAP = "mask"
UNKNOWN = 255
FLAT = 1e-6
"""attention whose range is a smaller share of it is the same for all patches"""
BEST, ORACLE, MEAN = "attention_jaccard", "attention_jaccard_oracle", "attention_jaccard_mean"


class AttentionSegmentationParams(Params):
    mass: float = param(0.6, "share of a head's attention to the patches that its mask keeps", gt=0, lt=1)
    objects: Literal["each", "all", "main"] = param(
        "each",
        "what a mask is held against; each: every object (value of the map) by itself; all: all objects as one;"
        " main: the object that the label is about",
    )
    train_images: int = param(500, "training images that the best head is chosen on, at most", ge=1, unit="images")
    per_head: bool = param(True, "also tell each head's figure")


def strongest(attention: Tensor, mass: float) -> Tensor:
    """bool ``[..., P]``: the fewest patches, strongest first, that hold more than ``mass`` of the attention to all P;
    and those that are as strong as the weakest of them.

    ``attention``: ``[..., P]``, not negative. The authors' rule is on the weakest: left out while they hold no more
    than ``1 - mass`` together (DINO, `visualize_attention.py`).
    """
    values, _ = attention.double().sort(dim=-1)
    kept = values.cumsum(dim=-1) > (1 - mass) * values.sum(dim=-1, keepdim=True)
    weakest = torch.where(kept, values, torch.inf).amin(dim=-1, keepdim=True)
    return attention.double() >= weakest


def object_masks(maps: Tensor, objects: str) -> Tensor:
    """uint8 ``[B, S, S]`` -> bool ``[O, B, S, S]``: where each object lies, an image without it has it nowhere."""
    if objects == "main":
        return (maps == 1)[None]
    if objects == "all":
        return ((maps > 0) & (maps != UNKNOWN))[None]
    values = maps.unique()
    return torch.stack([maps == value for value in values if value not in (0, UNKNOWN)] or [maps.bool() & False])


def jaccard(kept: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Jaccard index of each head's mask with each object: float64 ``[B, heads, O]``, NaN for an object that an image
    does not have.

    ``kept`` bool ``[B, heads, rows * cols]`` patches; ``masks`` bool ``[O, B, S, S]`` pixels; ``known`` bool
    ``[B, S, S]``, others count neither for nor against.
    """
    side = known.shape[-1] // round(kept.shape[-1] ** 0.5)
    # Masks are constant within a patch, so counts per patch are enough: [B, patches, O] and [B, patches].
    of_object = to_patches(masks.movedim(0, 1).double(), side).unflatten(2, (-1, len(masks))).sum(dim=2)
    of_patch = to_patches(known[:, None].double(), side).sum(dim=2)
    both = kept.double() @ of_object
    whole = of_object.sum(dim=1, keepdim=True)
    union = (kept.double() @ of_patch[:, :, None]) + whole - both
    return torch.where(whole > 0, both / union, torch.nan)


class AttentionSegmentation:
    """Chooses the head on training images, scores all heads on every test image."""

    def __init__(self, params: AttentionSegmentationParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_no_tokens(data.model)
        if reason:
            return self._unmeasured(reason)
        assert data.model is not None
        try:
            train = self._of_images(data.model, "train", spread_out(len(data.train.features), self.params.train_images))
            test = self._of_images(data.model, "test", torch.arange(len(data.test.features)))
        except Unusable as reason:
            return self._unmeasured(str(reason))
        best = int(over_objects(train).nanmean(dim=0).argmax())
        of_heads = over_objects(test)
        figures = [(BEST, of_heads[:, best]), (ORACLE, test.amax(dim=1).nanmean(dim=1)), (MEAN, of_heads.mean(dim=1))]
        if self.params.per_head:
            figures += [(f"{BEST}@{head + 1}", values) for head, values in enumerate(of_heads.unbind(dim=1))]
        return [over_images(name, values) for name, values in figures]

    def _of_images(self, model: EvaluatedModel, split: SplitName, images: Tensor) -> Tensor:
        """float64 ``[N, heads, O]``, as ``jaccard``. Raises Unusable for what says nothing about the heads."""
        found, flat = [], True
        for indices in images.split(BATCH):
            with torch.no_grad(), model.autocast():
                attention = model.method.encoder.attention(model.images(split, indices)).float()
            if not bool(torch.isfinite(attention).all()):
                raise Unusable(f"attention to {split} images holds NaN or infinity")
            highest = attention.amax(dim=-1)
            flat = flat and bool((highest - attention.amin(dim=-1) <= FLAT * highest).all())
            maps = model.maps(split, MAP, indices)
            masks = object_masks(maps, self.params.objects)
            found.append(jaccard(strongest(attention, self.params.mass), masks, maps != UNKNOWN))
        widest = max(part.shape[2] for part in found)
        padded = [torch.nn.functional.pad(part, (0, widest - part.shape[2]), value=torch.nan) for part in found]
        together = torch.cat(padded)
        if flat:
            raise Unusable(f"attention to {split} images is the same for every patch: no mask follows from it")
        if not bool(together.isfinite().any()):
            raise Unusable(f"no {split} image has an object")
        return together

    def _unmeasured(self, reason: str) -> list[Metric]:
        return [Metric(name, None, reason=reason) for name in (BEST, ORACLE, MEAN)]


class Unusable(Exception):
    """Why nothing can be measured."""


def over_objects(found: Tensor) -> Tensor:
    """``[N, heads, O]`` -> ``[N, heads]``: the mean over the objects of each image, NaN without any."""
    return found.nanmean(dim=2)


def over_images(name: str, values: Tensor) -> Metric:
    """The mean over the images with objects; ``[N]``, NaN for the others."""
    measured = values[values.isfinite()]
    return Metric(name, float(measured.mean()), per_image=values.cpu() if len(measured) == len(values) else None)


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="attention-segmentation",
            summary=__doc__.partition("\n")[0],
            params=AttentionSegmentationParams,
            build=lambda params, context: AttentionSegmentation(params),
            needs=frozenset({MAP, "attention"}),
            uses_model=True,
            headline=BEST,
            citation="Caron et al. 2021, DINO, section 4.2.2 and figure 4 (60% of the mass); how heads are chosen:"
            " its first author in https://github.com/facebookresearch/dino/issues/54",
        )
    ]
