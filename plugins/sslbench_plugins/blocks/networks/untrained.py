"""A method that takes no training step: it only has an encoder to evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from sslbench import Method, Progress, ViewRequest


class Untrained(Method):
    """Wraps an encoder that is evaluated as it is."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self._encoder = encoder

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return ()

    @property
    def encoder(self) -> nn.Module:
        return self._encoder

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        raise RuntimeError("a method that takes no training step has no loss")
