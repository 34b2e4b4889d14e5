"""Where the files of a published model lie: a folder, the cache of the Hugging Face hub, or out there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sslbench import UserError

METHOD = "method 'pretrained'"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
"""the first that is there is taken"""
HUB = "hf-hub:"
"""stands before the name of a model on the Hugging Face hub, as in timm"""


@dataclass(frozen=True)
class ModelFiles:
    """What a model is, and its weights."""

    config: Mapping[str, Any]
    """as timm writes it: ``architecture``, ``model_args``, ``pretrained_cfg``; or ``sslbench``"""
    weights: Path


def in_folder(folder: Path) -> ModelFiles:
    """An exported folder, or one that timm saved. Raises UserError for another."""
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None or not (folder / CONFIG).is_file():
        lacks = CONFIG if weights else f"weights ({' or '.join(WEIGHTS[:1] + WEIGHTS[2:3])})"
        raise UserError(f"{folder} has no {lacks}; expected a folder that `sslbench export` or timm wrote")
    return ModelFiles(read_config(folder / CONFIG), weights)


def read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, dict) or not ("architecture" in config or "sslbench" in config):
        raise UserError(f"{path} names no architecture that timm or sslbench knows")
    return config


@dataclass(frozen=True)
class Repository:
    """A model on the Hugging Face hub."""

    name: str
    """OWNER/MODEL"""
    revision: str | None = None
    filename: str = ""
    """of the weights, where it is none of ``WEIGHTS``"""

    @classmethod
    def named(cls, text: str, filename: str | None = None) -> Repository:
        """``OWNER/MODEL`` or ``OWNER/MODEL@REVISION``."""
        name, _, revision = text.partition("@")
        return cls(name, revision or None, filename or "")

    @property
    def address(self) -> str:
        return f"https://huggingface.co/{self.name}"

    def cached(self, *filenames: str) -> Path | None:
        """The first of the files that was fetched before. Looks at the disk alone."""
        from huggingface_hub import try_to_load_from_cache

        for name in filenames or self._weights:
            found = try_to_load_from_cache(self.name, name, revision=self.revision)
            if isinstance(found, str):
                return Path(found)
        return None

    def file(self, *filenames: str, download: bool, way_out: str) -> Path:
        """The first of the files that there is (none: the weights), fetched if that is allowed. Raises UserError, which
        ends in ``way_out``, where it cannot be had."""
        found = self.cached(*filenames)
        if found:
            return found
        if not download:
            raise UserError(
                f"{self.name} is not on this machine; --download fetches it from {self.address}; or {way_out}"
            )
        return self._fetched(filenames or self._weights, way_out)

    @property
    def _weights(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*WEIGHTS[:2], self.filename, *WEIGHTS[2:]])) if self.filename else WEIGHTS

    def _fetched(self, filenames: tuple[str, ...], way_out: str) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

        # It says every retry; the line below says it once.
        logger = logging.getLogger("huggingface_hub")
        before, why = logger.level, ""
        logger.setLevel(logging.ERROR)
        try:
            for name in filenames:
                try:
                    return Path(hf_hub_download(self.name, name, revision=self.revision))
                except LocalEntryNotFoundError:
                    why = "the hub cannot be reached"
                    break
                except EntryNotFoundError:
                    why = f"it has none of {', '.join(filenames)}"
        except Exception as error:
            why = str(error).strip().partition("\n")[0] or type(error).__name__
        finally:
            logger.setLevel(before)
        raise UserError(f"{self.name} cannot be fetched from {self.address}: {why}; {way_out}")


def on_disk(path: Path, name: str = "") -> ModelFiles:
    """A folder, or a file whose architecture is timm's ``name``, or is said by the configuration beside it. Raises
    UserError for anything else."""
    if path.is_dir():
        return in_folder(path)
    if not path.is_file():
        raise UserError(f"method 'pretrained': path={path} does not exist")
    if name:
        check_known(name)
        return ModelFiles({"architecture": name}, path)
    if not (path.parent / CONFIG).is_file():
        raise UserError(f"method 'pretrained': {path} says nothing of its architecture; give timm's name of it, name=")
    return ModelFiles(read_config(path.parent / CONFIG), path)


def repository_of(name: str, where: str = METHOD) -> Repository:
    """Where timm, or the name itself, says that the weights are. Raises UserError where timm publishes none."""
    if name.startswith(HUB):
        return Repository.named(name.removeprefix(HUB))
    import timm

    check_known(name, where)
    found = timm.models.get_pretrained_cfg(name)
    if found is None or not found.hf_hub_id:
        raise UserError(f"{where}: timm publishes no weights name = {name!r}; {tags_of(name)}")
    return Repository.named(found.hf_hub_id, found.hf_hub_filename)


def published(name: str, download: bool) -> ModelFiles:
    """A model of timm or of the hub. Raises UserError where it is not here, and may not be or cannot be fetched."""
    repository = repository_of(name)
    if name.startswith(HUB):
        way_out = f"fetch {CONFIG} and model.safetensors of it elsewhere and give path=FOLDER"
        config = repository.file(CONFIG, download=download, way_out=way_out)
        return ModelFiles(read_config(config), repository.file(download=download, way_out=way_out))
    way_out = f"fetch model.safetensors of it elsewhere and give path=FILE,name={name}"
    return ModelFiles({"architecture": name}, repository.file(download=download, way_out=way_out))


def check_known(name: str, where: str = METHOD) -> None:
    """Raises UserError, which begins with ``where``, for an architecture, or a tag of one, that timm does not have."""
    import timm

    if not timm.is_model(name):
        wanted = name.partition(".")[0]
        near = ", ".join((timm.list_models(f"*{wanted}*") or get_close_matches(wanted, timm.list_models(), 5))[:5])
        raise UserError(
            f"{where}: timm {timm.__version__} has no model name = {name!r}"
            + (f"; near it: {near}" if near else "; python -c 'import timm; print(timm.list_pretrained())' lists all")
        )
    if "." in name and name not in timm.list_pretrained(f"{name.partition('.')[0]}.*"):
        raise UserError(f"{where}: timm has no weights name = {name!r}; {tags_of(name)}")


def tags_of(name: str) -> str:
    import timm

    there = timm.list_pretrained(f"{name.partition('.')[0]}*")
    return f"it has: {', '.join(there[:5])}{', ...' if len(there) > 5 else ''}" if there else "it has none like it"
