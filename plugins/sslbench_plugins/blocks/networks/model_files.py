"""The files of a published model: in a folder, in the cache of the Hugging Face hub, or fetched from there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from sslbench import Licence, UserError, check_if_digested
from sslbench_plugins.blocks.networks.model_config import ModelConfig, read_config

METHOD = "method 'pretrained'"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
"""names of files of weights; the first that exists is taken"""
HUB = "hf-hub:"
"""stands before the name of a model on the Hugging Face hub, as in timm"""


@dataclass(frozen=True)
class ModelFiles:
    """A model's configuration and its weights."""

    config: ModelConfig
    weights: Path


def in_folder(folder: Path) -> ModelFiles:
    """An exported folder, or one that timm saved. Raises UserError for another."""
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None or not (folder / CONFIG).is_file():
        lacks = CONFIG if weights else f"weights ({' or '.join(WEIGHTS[:1] + WEIGHTS[2:3])})"
        raise UserError(f"{folder} has no {lacks}; expected a folder that `sslbench export` or timm wrote")
    check_if_digested(folder / CONFIG)
    return ModelFiles(read_config(folder / CONFIG), weights)


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
        """Of its page on the web."""
        return f"https://huggingface.co/{self.name}"

    def cached(self, *filenames: str) -> Path | None:
        """The first of the files (none named: the weights) that was fetched before. Reads the disk alone."""
        from huggingface_hub import try_to_load_from_cache

        for name in filenames or self._weights:
            path = try_to_load_from_cache(self.name, name, revision=self.revision)
            if isinstance(path, str):
                return Path(path)
        return None

    def file(self, *filenames: str, download: bool, way_out: str) -> Path:
        """The first of the files (none named: the weights) that exists, fetched if that is allowed. Raises UserError,
        which ends in ``way_out``, where it cannot be had."""
        path = self.cached(*filenames)
        if path:
            return path
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
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        reason = f"it has none of {', '.join(filenames)}"
        try:
            with no_retry_messages():
                for name in filenames:
                    try:
                        return Path(hf_hub_download(self.name, name, revision=self.revision))
                    except LocalEntryNotFoundError:
                        reason = "the hub cannot be reached"
                        break
                    except EntryNotFoundError:
                        continue
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(f"{self.name} cannot be fetched from {self.address}: {reason}; {way_out}")


@contextmanager
def no_retry_messages() -> Iterator[None]:
    """Inside, the hub's client does not log each retry: the error says it once."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def on_disk(path: Path, name: str = "") -> ModelFiles:
    """A folder, or a file whose architecture is timm's ``name``, or is in the configuration beside it. Raises
    UserError for anything else."""
    if path.is_dir():
        return in_folder(path)
    if not path.is_file():
        raise UserError(f"{METHOD}: path={path} does not exist")
    if name:
        check_known(name)
        return ModelFiles(ModelConfig(architecture=name), path)
    if not (path.parent / CONFIG).is_file():
        raise UserError(f"{METHOD}: {path} says nothing of its architecture; give timm's name of it, name=")
    return ModelFiles(read_config(path.parent / CONFIG), path)


def repository_of(name: str, where: str = METHOD) -> Repository:
    """The repository that timm, or the name itself, gives for a model. Raises UserError, which begins with ``where``,
    where timm publishes none."""
    if name.startswith(HUB):
        return Repository.named(name.removeprefix(HUB))
    import timm

    check_known(name, where)
    config = timm.models.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        raise UserError(f"{where}: timm publishes no weights name = {name!r}; {tags_of(name)}")
    return Repository.named(config.hf_hub_id, config.hf_hub_filename)


def timms_licence(name: str, of_file: bool) -> Licence:
    """Of the weights that timm publishes under a name; of a local file that is said to be of an architecture alone,
    nothing is known."""
    import timm

    if of_file and "." not in name:
        return Licence(None, "it is a file on this machine; licence= says it")
    config = timm.models.get_pretrained_cfg(name)
    named = config.license if config else None
    return Licence(None, f"timm names none for {name}") if named in (None, "", "unknown", "other") else Licence(named)


def published(name: str, download: bool) -> ModelFiles:
    """A model of timm or of the hub. Raises UserError where it is not here, and may not be or cannot be fetched."""
    repository = repository_of(name)
    if name.startswith(HUB):
        way_out = f"fetch {CONFIG} and model.safetensors of it elsewhere and give path=FOLDER"
        config = repository.file(CONFIG, download=download, way_out=way_out)
        return ModelFiles(read_config(config), repository.file(download=download, way_out=way_out))
    way_out = f"fetch model.safetensors of it elsewhere and give path=FILE,name={name}"
    return ModelFiles(ModelConfig(architecture=name), repository.file(download=download, way_out=way_out))


def check_known(name: str, where: str = METHOD) -> None:
    """Raises UserError, which begins with ``where``, for an architecture, or a tag of one, that timm does not have."""
    import timm

    architecture = name.partition(".")[0]
    if not timm.is_model(name):
        similar = timm.list_models(f"*{architecture}*") or get_close_matches(architecture, timm.list_models(), 5)
        lists_all = "python -c 'import timm; print(timm.list_pretrained())' lists all"
        hint = f"near it: {', '.join(similar[:5])}" if similar else lists_all
        raise UserError(f"{where}: timm {timm.__version__} has no model name = {name!r}; {hint}")
    if "." in name and name not in timm.list_pretrained(f"{architecture}.*"):
        raise UserError(f"{where}: timm has no weights name = {name!r}; {tags_of(name)}")


def tags_of(name: str) -> str:
    """The weights that timm publishes of an architecture, as a clause."""
    import timm

    tags = timm.list_pretrained(f"{name.partition('.')[0]}*")
    return f"it has: {', '.join(tags[:5])}{', ...' if len(tags) > 5 else ''}" if tags else "it has none like it"
