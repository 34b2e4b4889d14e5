"""The nearest images of some test images, right ones and wrong ones marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sslbench import (
    EvaluationData,
    Picture,
    ShownImages,
    SplitName,
    Tile,
    TileRow,
    drawable_names,
    tile_rows,
    with_names,
)
from sslbench_plugins.blocks.probes.evaluable import features_and_labels
from sslbench_plugins.blocks.probes.inner_products import unit
from sslbench_plugins.blocks.probes.samples import evenly_spaced

QUERIES, NEAREST = 6, 7


def neighbours(data: EvaluationData, among: SplitName = "train") -> Iterator[Picture]:
    """A picture, where pictures are looked at: ``QUERIES`` test images, evenly spaced over the classes, and the nearest
    by cosine of the training images or of the other test images."""
    if data.shown is None:
        return
    labels = features_and_labels(data.test)[1]
    queries = labels.argsort(stable=True)[evenly_spaced(len(labels), QUERIES).to(labels.device)]
    nearest = nearest_of(data, queries, among).cpu()
    true = labels[queries].cpu()
    found = features_and_labels(data.train if among == "train" else data.test)[1].cpu()[nearest]
    names = drawable_names(data.shown.class_names, data.classes)
    rows = tiles_of(data.shown, (queries.cpu(), nearest), among, (true, found), names)
    headings = ["test image", *(f"nearest {rank + 1}" for rank in range(nearest.shape[1]))]
    right, whole = int((found == true[:, None]).sum()), nearest.numel()
    of = "training images" if among == "train" else "other test images"
    caption = (
        f"For {len(queries)} of {len(labels):,} test images, evenly spaced over the classes and shown on the left, the"
        f" {nearest.shape[1]} nearest {of} by cosine: {right} of {whole} show the same class (blue frame, tick),"
        f" {whole - right} another one (vermilion frame, cross)."
    )
    caption = with_names(caption, data.shown.class_names, [*true.tolist(), *found.flatten().tolist()])
    yield Picture("neighbours", tile_rows(rows, headings), caption)


def nearest_of(data: EvaluationData, queries: Tensor, among: SplitName) -> Tensor:
    """int64 ``[Q, k]``: rows of the nearest, the nearest first; no query finds itself."""
    searched = (data.train if among == "train" else data.test).features
    # Cosines but for the length of the query, which changes no order; the bank is not copied.
    similarity = unit(data.test.features[queries]) @ searched.T / torch.linalg.vector_norm(searched, dim=1)
    skip = 0
    if among == "test":
        similarity.scatter_(1, queries[:, None], -torch.inf)
        skip = 1
    nearest: Tensor = similarity.topk(min(NEAREST, len(searched) - skip), dim=1).indices
    return nearest


def tiles_of(
    shown: ShownImages,
    rows: tuple[Tensor, Tensor],
    among: SplitName,
    classes: tuple[Tensor, Tensor],
    names: Sequence[str],
) -> list[TileRow]:
    """A row for each query; ``rows``: queries ``[Q]`` and nearest ``[Q, k]``; ``classes``: of the same images."""
    (queries, nearest), (true, found) = rows, classes
    asked, near = shown.pixels("test", queries), shown.pixels(among, nearest.flatten())
    made = []
    for row in range(len(queries)):
        query, k = int(true[row]), nearest.shape[1]
        tiles = [Tile(asked[row], names[query], "plain")]
        for rank, label in enumerate(found[row].tolist()):
            tiles.append(Tile(near[row * k + rank], names[label], "right" if label == query else "wrong"))
        made.append(TileRow(tiles))
    return made
