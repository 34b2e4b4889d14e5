"""Weights that are published at an address of their own, in torch.hub's cache or fetched from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sslbench import UserError


@dataclass(frozen=True)
class WebFile:
    """A file of weights at an address, kept where torch.hub and timm keep it."""

    address: str

    @property
    def name(self) -> str:
        """Of the file."""
        return self.address.rpartition("/")[2]

    def cached(self) -> Path | None:
        """The file, if it was fetched before."""
        path = self._kept
        return path if path.is_file() else None

    def file(self, *, download: bool, way_out: str) -> Path:
        """The file, fetched if that is allowed. Raises UserError, which ends in ``way_out``, where it cannot be had."""
        if path := self.cached():
            return path
        if not download:
            raise UserError(
                f"{self.name} is not on this machine; --download fetches it from {self.address}; or {way_out}"
            )
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(self.address, str(self._kept), progress=False)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(f"{self.name} cannot be fetched from {self.address}: {reason}; {way_out}") from None
        return self._kept

    @property
    def _kept(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / self.name
