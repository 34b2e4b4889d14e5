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
from sslbench_plugins.blocks.networks.web_file import WebFile

METHOD = "method 'pretrained'"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
"""names of files of weights; the first that exists is taken"""
HUB = "hf-hub:"
"""stands before the name of a model on the Hugging Face hub, as in timm"""
GATED = frozenset({"dinov3-license", "sapiens2-license"})
"""licences whose owner has to be asked on the hub before it hands out the weights"""
ASK = "accept its licence there and set HF_TOKEN"


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
    gated: bool = False
    """whether the hub hands it out to those alone who accepted its licence"""

    @classmethod
    def named(cls, text: str, filename: str | None = None, licence: str | None = None) -> Repository:
        """``OWNER/MODEL`` or ``OWNER/MODEL@REVISION``."""
        name, _, revision = text.partition("@")
        return cls(name, revision or None, filename or "", licence in GATED)

    @property
    def address(self) -> str:
        """Of its page on the web, and what to do there first."""
        page = f"https://huggingface.co/{self.name}"
        return f"{page} (gated: {ASK})" if self.gated else page

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
        from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

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
        except GatedRepoError:
            reason = "the hub hands it out to those alone who accepted its licence"
            reason += "" if self.gated else f": {ASK}"
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


def repository_of(name: str, where: str = METHOD) -> Repository | WebFile:
    """The repository, or the file on the web, that timm, or the name itself, gives for a model. Raises UserError, which
    begins with ``where``, where timm publishes none."""
    if name.startswith(HUB):
        return Repository.named(name.removeprefix(HUB))
    import timm

    check_known(name, where)
    config = timm.models.get_pretrained_cfg(name)
    if config is not None and config.hf_hub_id:
        return Repository.named(config.hf_hub_id, config.hf_hub_filename, config.license)
    if config is not None and isinstance(config.url, str) and config.url:
        return WebFile(config.url)
    raise UserError(f"{where}: timm publishes no weights name = {name!r}; {tags_of(name)}")


def timms_licence(name: str, of_file: bool) -> Licence:
    """Of the weights that timm publishes under a name; of a local file that is said to be of an architecture alone,
    nothing is known."""
    import timm

    if of_file and "." not in name:
        return Licence(None, "it is a file on this machine; licence= says it")
    config = timm.models.get_pretrained_cfg(name)
    named = config.license if config else None
    return Licence(None, f"timm names none for {name}") if named in (None, "", "unknown", "other") else Licence(named)


def configuration_of(name: str) -> Path | None:
    """Of a model on the Hugging Face hub, its ``config.json`` if it was fetched before."""
    return Repository.named(name.removeprefix(HUB)).cached(CONFIG)


def published(name: str, download: bool) -> ModelFiles:
    """A model of timm or of the hub. Raises UserError where it is not here, and may not be or cannot be fetched."""
    if name.startswith(HUB):
        of_hub = Repository.named(name.removeprefix(HUB))
        way_out = f"fetch {CONFIG} and model.safetensors of it elsewhere and give path=FOLDER"
        config = of_hub.file(CONFIG, download=download, way_out=way_out)
        return ModelFiles(read_config(config), of_hub.file(download=download, way_out=way_out))
    repository = repository_of(name)
    what = "it" if isinstance(repository, WebFile) else "model.safetensors of it"
    way_out = f"fetch {what} elsewhere and give path=FILE,name={name}"
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
