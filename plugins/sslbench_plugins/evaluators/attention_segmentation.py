"""Segmentation by self-attention: the class token's attention in the last block against the objects, Jaccard index.

Of each head's attention over the patches the strongest are kept until they hold ``mass`` of it; the patches kept are
a mask, each as large as its pixels, and its overlap with an object is their intersection over their union. An image's
score is the mean over its objects, the metric the mean over the images that have any.

``attention_jaccard`` is the head that is best on training images, on test images. ``attention_jaccard_oracle`` is
what the authors of DINO report: the best head of each object, chosen knowing the answer.
``attention_jaccard_all_heads`` is the mean of all heads, and ``attention_jaccard@h`` head h, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sslbench import (
    EvaluatedModel,
    EvaluationData,
    EvaluatorSpec,
    Metric,
    Params,
    Picture,
    SplitName,
    Tile,
    TileRow,
    class_colours,
    hookimpl,
    param,
    tile_rows,
    value_colours,
)
from sslbench_plugins.blocks.networks.patches import to_patches
from sslbench_plugins.blocks.pictures.views import shown_rows, visible
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, mean_over_images, model_of, unmeasured
from sslbench_plugins.blocks.probes.frozen_tokens import BATCH, token_encoder
from sslbench_plugins.blocks.probes.samples import evenly_spaced

MAP = "mask"
UNKNOWN = 255
FLAT = 1e-6
"""attention whose range is a smaller share of it is the same for all patches"""
MOST_HEADS = 12
"""that a picture shows"""
METRICS = BEST, ORACLE, MEAN = "attention_jaccard", "attention_jaccard_oracle", "attention_jaccard_all_heads"
Objects = Literal["each", "all", "main"]


class AttentionSegmentationParams(Params):
    """How a mask is made of attention, and which objects it is compared with."""

    mass: float = param(0.6, "share of a head's attention to the patches that its mask keeps", gt=0, lt=1)
    objects: Objects = param(
        "each",
        "what a mask is compared with; each: every object (value of the map) by itself; all: all objects as one;"
        " main: the object that the label is about",
    )
    train_images: int = param(500, "training images that the best head is chosen on, at most", ge=1, unit="images")
    per_head: bool = param(True, "also report each head's score")


class AttentionSegmentation:
    """Chooses the head on training images, scores all heads on every test image."""

    def __init__(self, params: AttentionSegmentationParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        chosen_from = evenly_spaced(len(data.train.features), self.params.train_images)
        try:
            train = self._overlaps(model_of(data), "train", chosen_from)
            test = self._overlaps(model_of(data), "test", torch.arange(len(data.test.features)))
        except Unmeasurable as error:
            yield from unmeasured(METRICS, str(error))
            return
        best = int(train.nanmean(dim=2).nanmean(dim=0).argmax())
        heads = test.nanmean(dim=2)  # [N, heads], over the objects of each image
        scores = {BEST: heads[:, best], ORACLE: test.amax(dim=1).nanmean(dim=1), MEAN: heads.mean(dim=1)}
        if self.params.per_head:
            scores |= {f"{BEST}@{head + 1}": values for head, values in enumerate(heads.unbind(dim=1))}
        for name, values in scores.items():
            yield mean_over_images(name, values, "no test image has an object")
        if data.shown is not None:
            yield heads_beside_masks(model_of(data), shown_rows(len(data.test.features)), best)

    def _overlaps(self, model: EvaluatedModel, split: SplitName, images: Tensor) -> Tensor:
        """float64 ``[N, heads, O]``, as ``jaccard``; ``images`` int64 ``[N]``."""
        batches, all_flat = [], True
        for indices in torch.split(images, BATCH):
            attention = attention_of(model, split, indices)
            highest = attention.amax(dim=-1)
            all_flat = all_flat and bool((highest - attention.amin(dim=-1) <= FLAT * highest).all())
            maps = model.maps(split, MAP, indices)
            masks = object_masks(maps, self.params.objects)
            batches.append(jaccard(strongest(attention, self.params.mass), masks, maps != UNKNOWN))
        most_objects = max(batch.shape[2] for batch in batches)
        overlaps = torch.cat([F.pad(batch, (0, most_objects - batch.shape[2]), value=torch.nan) for batch in batches])
        if all_flat:
            raise Unmeasurable(f"attention to {split} images is the same for every patch: no mask can be made of it")
        if not bool(overlaps.isfinite().any()):
            raise Unmeasurable(f"no {split} image has an object")
        return overlaps


@torch.no_grad()
def attention_of(model: EvaluatedModel, split: SplitName, indices: Tensor) -> Tensor:
    """float32 ``[B, heads, rows * cols]``: the class token's, or an attention pool's, to the patches."""
    with model.autocast():
        attention = token_encoder(model).attention(model.images(split, indices)).float()
    if not bool(torch.isfinite(attention).all()):
        raise Unmeasurable(f"attention to {split} images holds NaN or infinity")
    return attention


def heads_beside_masks(model: EvaluatedModel, rows: Tensor, best: int) -> Picture:
    """Test images at ``rows`` int64 ``[B]``, their true masks, and each head's attention; ``best``: a head, from 0."""
    images, masks = visible(model, model.images("test", rows)), model.maps("test", MAP, rows)
    attention = attention_of(model, "test", rows)
    side = round(attention.shape[2] ** 0.5)
    relative = attention / attention.amax(dim=2, keepdim=True).clamp_min(torch.finfo(attention.dtype).tiny)
    count = attention.shape[1]
    chosen = list(range(min(count, MOST_HEADS)))
    if best not in chosen:
        chosen[-1] = best
    heads = torch.unflatten(relative, 2, (side, side))[:, chosen]
    tiles = [
        TileRow([Tile(images[row]), Tile(class_colours(masks[row])), *(Tile(value_colours(h)) for h in heads[row])])
        for row in range(len(rows))
    ]
    headings = [f"head {head + 1}{' (best)' if head == best else ''}" for head in chosen]
    others = " and the best" if best >= MOST_HEADS else ""
    some = f", the first {MOST_HEADS - bool(others)}{others} of {count} heads" if count > MOST_HEADS else ""
    caption = (
        f"{len(rows)} test images, one a row: the image, its true mask (each object a colour), and how much the class"
        f" token (or the query of an attention pool) attends to each patch, head by head{some}, brighter for more; head"
        f" {best + 1} overlaps best with the objects of training images."
    )
    return Picture("attention", tile_rows(tiles, ["image", "true mask", *headings], side=96), caption)


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


def object_masks(maps: Tensor, objects: Objects) -> Tensor:
    """uint8 ``[B, S, S]`` -> bool ``[O, B, S, S]``: the pixels of each object; none in an image without it."""
    if objects == "main":
        return (maps == 1)[None]
    if objects == "all":
        return ((maps > 0) & (maps != UNKNOWN))[None]
    values = [value for value in torch.unique(maps) if value not in (0, UNKNOWN)]
    return torch.stack([maps == value for value in values] or [torch.zeros_like(maps, dtype=torch.bool)])


def jaccard(kept: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Jaccard index of each head's mask with each object: float64 ``[B, heads, O]``, NaN for an object that an image
    does not have.

    ``kept`` bool ``[B, heads, rows * cols]`` patches; ``masks`` bool ``[O, B, S, S]`` pixels; ``known`` bool
    ``[B, S, S]``, others count neither for nor against.
    """
    side = known.shape[-1] // round(kept.shape[-1] ** 0.5)
    # Masks are constant within a patch, so counts per patch are enough: [B, patches, O] and [B, patches].
    in_patches = to_patches(masks.movedim(0, 1).double(), side)
    object_counts = torch.unflatten(in_patches, 2, (-1, len(masks))).sum(dim=2)
    known_counts = to_patches(known[:, None].double(), side).sum(dim=2)
    intersection = kept.double() @ object_counts
    total = object_counts.sum(dim=1, keepdim=True)
    union = (kept.double() @ known_counts[:, :, None]) + total - intersection
    return torch.where(total > 0, intersection / union, torch.nan)


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="attention-segmentation",
            params=AttentionSegmentationParams,
            build=lambda params, context: AttentionSegmentation(params),
            needs=frozenset({MAP, "attention"}),
            uses_model=True,
            headline=BEST,
            citation="Caron et al. 2021, DINO, section 4.2.2 and figure 4 (60% of the mass); how heads are chosen:"
            " its first author in https://github.com/facebookresearch/dino/issues/54",
        )
    ]
