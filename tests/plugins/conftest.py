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
    asked: list[tuple[str, str]] = field(default_factory=list)
    """repository and file of every request to the hub, none of which is answered"""

    def put(self, repository: str, **files: Callable[[Path], object]) -> None:
        """As the hub's own client lays fetched files out; ``model__safetensors=WRITE`` is called with the path."""
        place = self.folder / f"models--{repository.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text("abc")
        (place / "snapshots/abc").mkdir(parents=True)
        for name, write in files.items():
            write(place / "snapshots/abc" / name.replace("__", "."))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubCache:
    """An empty cache of the hub, which cannot be reached."""
    found = HubCache(tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(found.folder))

    def unreachable(repository: str, filename: str, **options: object) -> None:
        found.asked.append((repository, filename))
        raise huggingface_hub.utils.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    return found
