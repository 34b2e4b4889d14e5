"""A user's image file as an array, and registered augmentations applied to arrays.

torch is imported only where a registered augmentation is applied.
"""

from __future__ import annotations

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


def read_image(path: str, size: int, where: str) -> Images:
    """An image file as float64 ``[3, size, size]`` in 0..255: RGB, shorter side to ``size`` pixels, centre-cropped.

    Raises UserError where it cannot be read; ``where`` names the parameter.
    """
    from sslbench_plugins.blocks.images_on_disk.decode import decode, reason

    try:
        return decode(Path(path).expanduser(), size).transpose(2, 0, 1).astype(np.float64)
    except Exception as error:
        words = system_reason(error) or reason(error)
        raise UserError(f"{where} = {path!r}: {words}; expected an image file") from None


def system_reason(error: Exception) -> str:
    """An OSError's words without the path, which the message names already; empty for other errors."""
    return (error.strerror or "") if isinstance(error, OSError) and error.errno is not None else ""


def registered_view(reference: str, where: str) -> ArrayView:
    """The registered augmentation ``NAME:key=value`` as a function of arrays.

    The images are rounded to uint8, which augmentations take; their random draws come from a torch generator seeded
    by one draw of the RandomState. Raises UserError for an unknown name or a wrong parameter.
    """
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
    for an unknown name, naming both sets, and where one is given twice.
    """
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
