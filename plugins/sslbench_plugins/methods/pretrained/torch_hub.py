"""Models of torch.hub: a repository's code, run here, builds them. Fetching only where it was allowed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from sslbench import Backbone, UserError
from sslbench_plugins.blocks.networks.no_network import NetworkRefused, network

BRANCHES = ("main", "master")
"""what torch.hub takes for a repository without a branch"""
MODEL_FILES = (".py", ".pth", ".pt", ".safetensors", ".bin")
"""files of a local repository that decide what a model is"""
HEADS = ("fc", "head", "heads", "classifier")
"""attributes that hold a network's classifier"""


@dataclass(frozen=True)
class HubModel:
    """``OWNER/REPO:ENTRY``, ``OWNER/REPO:BRANCH:ENTRY`` or ``FOLDER:ENTRY``."""

    repository: str
    entry: str

    @classmethod
    def named(cls, text: str) -> HubModel:
        """Reads the parameter ``hub``. Raises UserError where it has another form."""
        repository, colon, entry = text.rpartition(":")
        if not colon or not repository or not entry:
            raise UserError(f"hub = {text!r} is not OWNER/REPO:ENTRY or FOLDER:ENTRY")
        return cls(repository, entry)

    @property
    def local(self) -> Path:
        """The folder that the repository names, if it is not one of github.com."""
        return Path(os.path.expanduser(self.repository))

    @property
    def folder(self) -> Path | None:
        """The repository's code on this machine, or None."""
        if self.local.is_dir():
            return self.local
        name, _, branch = self.repository.partition(":")
        branches = (branch,) if branch else BRANCHES
        folders = [Path(torch.hub.get_dir()) / f"{name}/{branch}".replace("/", "_") for branch in branches]
        return next((folder for folder in folders if folder.is_dir()), None)

    def files(self) -> list[Path]:
        """Of a local repository, those that decide what a model is, sorted."""
        return sorted(path for path in self.local.rglob("*") if path.suffix in MODEL_FILES and path.is_file())

    def build(self, download: bool, **arguments: Any) -> Any:
        """What the entry returns. Raises UserError where code or weights are not here and may not be, or cannot be,
        fetched; TypeError where the entry does not take the arguments."""
        folder = self.folder
        if folder is None and not download:
            address = f"https://github.com/{self.repository.partition(':')[0]}"
            raise UserError(
                f"torch.hub's {self.repository} is not on this machine; --download fetches it from {address};"
                f" or clone it elsewhere and give hub=FOLDER:{self.entry}"
            )
        try:
            load = cast(Callable[..., Any], torch.hub.load)
            source, repository = ("local", str(folder)) if folder else ("github", self.repository)
            with network(download):
                return load(repository, self.entry, trust_repo=True, verbose=False, source=source, **arguments)
        except (NetworkRefused, UserError) as error:
            raise UserError(
                f"torch.hub's {self.repository}:{self.entry} {error}; --download allows it; or put the file"
                f" into {Path(torch.hub.get_dir()) / 'checkpoints'}"
            ) from None
        except TypeError:
            raise
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(f"torch.hub's {self.repository}:{self.entry} cannot be built: {reason}") from None


class HubEncoder(Backbone):
    """A network of torch.hub without its classifier: what it returns for an image is its features."""

    def __init__(self, net: nn.Module, label: str, size: int) -> None:
        super().__init__()
        for name in HEADS:
            if isinstance(getattr(net, name, None), nn.Linear):
                setattr(net, name, nn.Identity())
        self.net = net
        with torch.no_grad():
            output = net.eval()(torch.zeros(1, 3, size, size))
        if not isinstance(output, Tensor) or output.ndim != 2:
            is_tensor = isinstance(output, Tensor)
            what = f"a tensor of {output.ndim} dimensions" if is_tensor else f"a {type(output).__name__}"
            raise UserError(f"torch.hub's {label} returns {what}, not features [B, D]")
        self.feature_dim = output.shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """``[B, 3, S, S]`` -> ``[B, feature_dim]``."""
        features: Tensor = self.net(images)
        return features
