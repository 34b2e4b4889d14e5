"""Some test images, masked, and what a method makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from sslbench import EvaluatedModel, EvaluationData, Picture, Tile, TileRow, tile_rows
from sslbench_plugins.blocks.pictures.views import shown_rows, visible
from sslbench_plugins.evaluators.reconstruction.interpolation import masked_pixels

MOST_RATIOS = 6
GREY = 128
"""of masked pixels"""


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def reconstructions(
    data: EvaluationData,
    model: EvaluatedModel,
    mask: Callable[[int, float, EvaluatedModel, int], Tensor | None],
    reconstruct: Callable[[EvaluatedModel, Tensor, Tensor], Tensor],
    ratios: Sequence[float],
) -> Iterator[Picture]:
    """A picture, where pictures are looked at: each image as it is, and for each mask ratio masked and reconstructed.
    ``mask``: number of images, ratio, model, seed -> bool ``[B, patches]`` or None; ``reconstruct``: model, images
    ``[B, 3, S, S]``, mask -> the same with masked patches filled in."""
    grid, rows = model.method.mask_grid, shown_rows(len(data.test.features))
    if data.shown is None or grid is None:
        return
    images = model.images("test", rows)
    columns, headings, shares = [visible(model, images)], ["original"], list[str]()
    for ratio in ratios[:MOST_RATIOS]:
        masks = mask(len(rows), ratio, model, data.seed)
        if masks is None:
            continue
        hidden = masked_pixels(masks, grid, images.shape[-1])[:, None]
        columns.append(torch.where(hidden, GREY, columns[0]))
        columns.append(visible(model, reconstruct(model, images, masks.to(model.device))))
        headings += [f"{ratio:.0%} masked", "reconstructed"]
        shares.append(f"{ratio:.0%}")
    if not shares:
        return
    tiles = [TileRow([Tile(column[row]) for column in columns]) for row in range(len(rows))]
    caption = (
        f"{len(rows)} of {len(data.test.features):,} test images, one a row: the image, then with"
        f" {listed(shares)} of its patches masked (grey), and beside each what the method reconstructs from the"
        " patches that are left."
    )
    yield Picture("reconstructions", tile_rows(tiles, headings, side=96), caption)
