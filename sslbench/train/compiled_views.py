"""A view as one compiled function: what an augmentation makes of images and random numbers, and the normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import count
from operator import itemgetter
from types import FunctionType
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_map_only

from sslbench.contracts.augmentation import DrawnTransform

COMPILED = count()
"""numbers of the views that this process has compiled"""
AT_A_TIME = {"cpu": 384 * 1024, "cuda": 1 << 26}
"""values of a view that are worked on at a time: on a CPU those that its caches hold, on a GPU 256 MB of them"""
WRITTEN_IN_PLACE = ("max_pointwise_cat_inputs", "max_complex_pointwise_cat_inputs")
"""options of torch's compiler for GPUs: at 0, channels are written where their stack is read, without a kernel more"""


class CompiledView:
    """Called with images and a generator: one normalised view, by a compiled function. Where torch cannot compile it,
    as without a C++ compiler or Triton, uncompiled from then on, and ``on_warning`` is called with the reason."""

    def __init__(
        self,
        transform: DrawnTransform,
        normalise: Callable[[Tensor], Tensor],
        scale: Tensor,
        shift: Tensor,
        on_warning: Callable[[str], None],
    ) -> None:
        self._transform, self._normalise, self._on_warning = transform, normalise, on_warning
        self._scale, self._shift = scale, shift
        self._ready: set[torch.Size] = set()
        self._reason = ""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """uint8 ``[B, 3, H, W]`` -> normalised float32 ``[B, 3, size, size]``."""
        if self._reason:
            return self._normalise(self._transform(images, generator))
        if images.shape in self._ready:
            return self._view(images, generator)
        from torch._dynamo.exc import TorchDynamoException  # loads torch's compiler: seconds

        before = generator.get_state()
        try:
            view = self._view(images, generator)
        except TorchDynamoException as error:
            self._reason = first_line(error)
            self._on_warning(
                f"--compile: views are made uncompiled, since torch could not compile them: {self._reason}"
            )
            generator.set_state(before)
            return self(images, generator)
        self._ready.add(images.shape)
        return view

    def _view(self, images: Tensor, generator: Generator) -> Tensor:
        height, width = images.shape[2:]
        drawn = self._transform.draw(len(images), (height, width), generator)
        function = compiled_view(self._transform, height, width, images.device.type)
        most = AT_A_TIME.get(images.device.type, AT_A_TIME["cuda"])
        slices = parts(len(images), 3 * self._transform.size**2, most)
        views = [
            function(images[here], tree_map_only(Tensor, itemgetter(here), drawn), self._scale, self._shift)
            for here in slices
        ]
        return views[0] if len(views) == 1 else torch.cat(views)


def first_line(error: BaseException) -> str:
    """What a compiler's error says first, behind the name of its type."""
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0]}" if lines else type(cause).__name__


def parts(batch: int, values: int, most: int) -> Iterator[slice]:
    """Slices of a batch of at most ``most`` values each, of ``values`` an image; of one length where there is one that
    is not much smaller, since each length is compiled."""
    least = math.ceil(batch / max(1, most // values))
    number = next((n for n in range(least, 2 * least) if batch % n == 0), least)
    length = math.ceil(batch / number)
    return (slice(start, start + length) for start in range(0, batch, length))


@lru_cache(maxsize=64)
def compiled_view(transform: DrawnTransform, height: int, width: int, device: str) -> Callable[..., Tensor]:
    """Images, drawn numbers, scale and shift -> a normalised view. Transforms that are equal share one function.

    Its name is its own: torch keeps at most eight compiled variants of a function. A second batch size compiles it once
    more, for any size.
    """
    code = view_of.__code__.replace(co_name=f"view_{next(COMPILED)}")
    own = FunctionType(code, view_of.__globals__, code.co_name)
    return partial(torch.compile(own, fullgraph=True, options=options_for(device)), transform.apply)


def options_for(device: str) -> dict[str, Any]:
    """Of torch's compiler, which not all versions have."""
    if device != "cuda":
        return {}
    from torch._inductor import list_options

    return {name: 0 for name in WRITTEN_IN_PLACE if name in list_options()}


def view_of(apply: Callable[[Tensor, Any], Tensor], images: Tensor, drawn: Any, scale: Tensor, shift: Tensor) -> Tensor:
    """A view, normalised: what is compiled."""
    return torch.addcmul(shift, apply(images, drawn), scale)
