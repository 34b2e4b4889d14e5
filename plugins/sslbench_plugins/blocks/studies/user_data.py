"""What a user gives a study: a table, an image, and augmentations by name. pyarrow and torch are imported only where a
table is read or a registered augmentation is applied."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import UserError, build_plugin

Images = NDArray[np.float64]
ArrayView = Callable[[Images, RandomState], Images]
"""float ``[B, 3, S, S]`` in 0..255 -> the same shape and range"""
View = TypeVar("View")


def read_columns(path: str, where: str, needed: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Column name -> its values, in the file's order. ``where`` names the parameter in messages. Raises UserError where
    the file cannot be read, has no rows, lacks a ``needed`` column or names one twice."""
    from pyarrow import ArrowException, csv, parquet

    file = Path(os.path.expanduser(path))
    if not file.is_file():
        raise UserError(f"{where} = {path!r}: no such file; expected a CSV or parquet file")
    try:
        table = parquet.read_table(file) if file.suffix.lower() in {".parquet", ".pq"} else csv.read_csv(file)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{where} = {path!r}: cannot be read as a CSV or parquet file: {reason}") from None
    names = [name.strip() for name in table.column_names]
    missing = [name for name in needed if name not in names]
    if missing:
        raise UserError(f"{where} = {path!r}: no column {missing[0]!r}; its columns are {', '.join(names)}")
    if len(set(names)) < len(names):
        raise UserError(f"{where} = {path!r}: a column is named twice; its columns are {', '.join(names)}")
    if table.num_rows == 0:
        raise UserError(f"{where} = {path!r}: the table has no rows")
    return dict(zip(names, (column.to_pylist() for column in table.columns), strict=True))


def read_image(path: str, size: int, where: str) -> Images:
    """An image file as float64 ``[3, size, size]`` in 0..255: RGB, shorter side to ``size`` pixels, centre-cropped.
    Raises UserError where it cannot be read; ``where`` names the parameter."""
    from sslbench_plugins.blocks.images_on_disk.decode import decode, reason

    try:
        return decode(Path(os.path.expanduser(path)), size).pixels.transpose(2, 0, 1).astype(np.float64)
    except Exception as error:
        # An OSError's words without the path, which the message names already.
        words = (isinstance(error, OSError) and error.errno is not None and error.strerror) or reason(error)
        raise UserError(f"{where} = {path!r}: {words}; expected an image file") from None


def registered_view(reference: str, where: str) -> ArrayView:
    """The registered augmentation ``NAME:key=value`` as a function of arrays. The images are rounded to uint8, which
    augmentations take; their random draws come from a torch generator seeded by one draw of the RandomState. Raises
    UserError for an unknown name or a wrong parameter."""
    augmentation: Any = build_plugin("augmentation", reference, where)

    def apply(images: Images, rng: RandomState) -> Images:
        import torch

        generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
        batch = torch.from_numpy(np.ascontiguousarray(images.round().clip(0, 255).astype(np.uint8)))
        view = augmentation.view(0, "global", images.shape[-1])
        values: Images = view(batch, generator).double().numpy() * 255
        return values

    return apply


def views_by_reference(
    references: tuple[str, ...], own: dict[str, View], adapt: Callable[[ArrayView], View], where: str
) -> dict[str, View]:
    """Augmentations by reference: a simulator's ``own`` by name, all others registered ones, which ``adapt`` converts.
    ``augmentation.NAME`` means the registered one even where the simulator has its own of that name. Raises UserError
    for an unknown name, naming both sets, and where one is given twice."""
    twice = sorted({name for name in references if references.count(name) > 1})
    if twice:
        raise UserError(f"{where}: {twice[0]!r} is named twice")
    views = {}
    for reference in references:
        if reference in own:
            views[reference] = own[reference]
            continue
        try:
            views[reference] = adapt(registered_view(reference.removeprefix("augmentation."), where))
        except UserError as error:
            line = error.messages[0]
            if "unknown augmentation" not in line:
                raise
            raise UserError(f"{line}; the simulator's own are {', '.join(own)}") from None
    return views
