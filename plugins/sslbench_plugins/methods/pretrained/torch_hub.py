"""Models of torch.hub: a repository's code, run here, builds them. Fetching only where it was allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sslbench import UserError

BRANCHES = ("main", "master")
"""what torch.hub takes for a repository without a branch"""
READ = (".py", ".pth", ".pt", ".safetensors", ".bin")
"""files of a local repository that make a model what it is"""


@dataclass(frozen=True)
class HubModel:
    """``OWNER/REPO:ENTRY``, ``OWNER/REPO:BRANCH:ENTRY`` or ``FOLDER:ENTRY``."""

    repository: str
    entry: str

    @classmethod
    def named(cls, text: str) -> HubModel:
        repository, colon, entry = text.rpartition(":")
        if not colon or not repository or not entry:
            raise UserError(f"hub = {text!r} is not OWNER/REPO:ENTRY or FOLDER:ENTRY")
        return cls(repository, entry)

    @property
    def folder(self) -> Path | None:
        """The repository's code on this machine, or None."""
        local = Path(self.repository).expanduser()
        if local.is_dir():
            return local
        name, _, branch = self.repository.partition(":")
        places = [
            Path(torch.hub.get_dir()) / f"{name}/{b}".replace("/", "_") for b in (branch,) * bool(branch) or BRANCHES
        ]
        return next((place for place in places if place.is_dir()), None)

    @property
    def is_local(self) -> bool:
        return Path(self.repository).expanduser().is_dir()

    def files(self) -> list[Path]:
        """Of a local repository, those that make a model what it is, sorted."""
        root = Path(self.repository).expanduser()
        return sorted(path for path in root.rglob("*") if path.suffix in READ and path.is_file())

    def build(self, download: bool, **arguments: Any) -> Any:
        """What the entry answers. Raises UserError where code or weights are not here and may not be, or cannot be,
        fetched."""
        folder = self.folder
        if folder is None and not download:
            address = f"https://github.com/{self.repository.partition(':')[0]}"
            raise UserError(
                f"torch.hub's {self.repository} is not on this machine; --download fetches it from {address};"
                f" or clone it elsewhere and give hub=FOLDER:{self.entry}"
            )
        source = {"source": "github"} if folder is None else {"source": "local"}
        where = self.repository if folder is None else str(folder)
        try:
            with fetching(download):
                return torch.hub.load(where, self.entry, trust_repo=True, verbose=False, **source, **arguments)
        except (NotAllowed, UserError) as error:
            raise UserError(
                f"torch.hub's {self.repository}:{self.entry} {error}; --download allows it; or put the file"
                f" into {Path(torch.hub.get_dir()) / 'checkpoints'}"
            ) from None
        except TypeError:
            raise
        except Exception as error:
            what = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(f"torch.hub's {self.repository}:{self.entry} cannot be built: {what}") from None


class NotAllowed(RuntimeError):
    """Something wanted to fetch a file and may not."""


@contextmanager
def fetching(allowed: bool) -> Iterator[None]:
    """Inside, torch.hub fetches files only where that is allowed: hub code calls it for weights that are not cached."""
    if allowed:
        yield
        return

    def refuse(url: str, *args: Any, **kwargs: Any) -> None:
        raise NotAllowed(f"wants to fetch {url}")

    before = torch.hub.download_url_to_file
    torch.hub.download_url_to_file = refuse
    try:
        yield
    finally:
        torch.hub.download_url_to_file = before
