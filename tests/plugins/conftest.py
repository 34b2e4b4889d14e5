"""A cache of the Hugging Face hub without a hub, for what loads published weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
import pytest


@dataclass
class HubCache:
    folder: Path
    requests: list[tuple[str, str]] = field(default_factory=list)
    """repository and file of every request to the hub, all of which fail"""

    def put(self, repository: str, **files: Callable[[Path], object]) -> None:
        """As the hub's own client lays fetched files out; ``model__safetensors=WRITE`` is called with the path."""
        model = self.folder / f"models--{repository.replace('/', '--')}"
        (model / "refs").mkdir(parents=True)
        (model / "refs/main").write_text("abc")
        (model / "snapshots/abc").mkdir(parents=True)
        for name, write in files.items():
            write(model / "snapshots/abc" / name.replace("__", "."))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubCache:
    """An empty cache of the hub, which cannot be reached."""
    hub = HubCache(tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub.folder))

    def unreachable(repository: str, filename: str, **options: object) -> None:
        hub.requests.append((repository, filename))
        raise huggingface_hub.utils.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    return hub
