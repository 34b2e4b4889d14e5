"""Features of a data set in a file that others read: parquet, npz or safetensors, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench.advise.frozen import FrozenFeatures
from sslbench.errors import UserError, did_you_mean
from sslbench.store.atomic import replaced

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Embeddings:
    """The features of every image of a data set, one a row, those of the training split first."""

    features: Tensor
    """float32 ``[N, D]``"""
    split: Tensor
    """int64 ``[N]``: 0 for the training split, 1 for the test split"""
    labels: Tensor | None
    """int64 ``[N]``, 0..classes-1"""
    classes: list[str]
    paths: list[str]
    """of the files, or empty where the data set has none"""
    factors: Mapping[str, Tensor]
    """``[N]`` each"""
    facts: Mapping[str, Any]
    """what made them, JSON-able: model, data set, input"""

    def __len__(self) -> int:
        return len(self.features)


def embed(frozen: FrozenFeatures) -> Embeddings:
    """The features of both splits of a data set, from the cache where they are kept."""
    parts = frozen.extraction.train, frozen.extraction.test
    labels = [part.labels for part in parts if part.labels is not None]
    facts = {
        "schema": 2,
        "model": {kind: asdict(plugin) for kind, plugin in frozen.model.plugins.items()},
        "dataset": frozen.dataset.description,
        "weights": frozen.pretraining.weights,
        "data": frozen.pretraining.fingerprint,
        "input": asdict(frozen.input_spec),
        "precision": frozen.settings.training.precision,
    }
    return Embeddings(
        torch.cat([part.features for part in parts]).cpu(),
        torch.tensor([number for number, part in enumerate(parts) for _ in range(len(part.features))]),
        torch.cat(labels).cpu() if len(labels) == len(parts) else None,
        frozen.classes,
        [*frozen.data.train.paths, *frozen.data.test.paths],
        {name: torch.cat([part.factors[name] for part in parts]).cpu() for name in parts[0].factors},
        facts,
    )


def check_file(out: Path) -> None:
    """Raises UserError for a name whose ending is none of the formats, or a folder."""
    if out.suffix not in WRITERS:
        hint = did_you_mean(out.suffix, list(WRITERS))
        raise UserError(f"-o {out}: the ending says the format; allowed: {', '.join(WRITERS)}{hint}")
    if out.is_dir():
        raise UserError(f"-o {out}: is a folder; name a file")


def write(embeddings: Embeddings, out: Path) -> None:
    """The file takes the place of an older one when it is complete. Raises UserError where it cannot be written."""
    try:
        with replaced(out) as partial:
            WRITERS[out.suffix](embeddings, partial)
    except OSError as error:
        raise UserError(f"-o {out}: cannot be written: {error.strerror or error}") from None


def write_parquet(embeddings: Embeddings, path: Path) -> None:
    """Columns ``path``, ``split``, ``label``, ``label_name`` and ``factor.NAME`` where they are known, and
    ``features``, a list of float32; the facts are in the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    if embeddings.paths:
        columns["path"] = pa.array([printable(path) for path in embeddings.paths])
    columns["split"] = pa.array([SPLITS[number] for number in embeddings.split.tolist()])
    if embeddings.labels is not None:
        columns["label"] = pa.array(embeddings.labels.numpy())
        columns["label_name"] = pa.array([printable(embeddings.classes[label]) for label in embeddings.labels.tolist()])
    columns |= {f"factor.{name}": pa.array(values.numpy()) for name, values in embeddings.factors.items()}
    flat = pa.array(embeddings.features.numpy().reshape(-1))
    columns["features"] = pa.FixedSizeListArray.from_arrays(flat, embeddings.features.shape[1])
    table = pa.table(columns).replace_schema_metadata({"sslbench": json.dumps(embeddings.facts)})
    pq.write_table(table, path)


def printable(name: str) -> str:
    """The name of a file as UTF-8; bytes that are none, such as those of Latin-1, as ``\\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def write_npz(embeddings: Embeddings, path: Path) -> None:
    """Arrays ``features``, ``split``, ``classes``, and ``labels``, ``paths``, ``factor.NAME`` where they are known;
    ``facts`` is JSON. None needs ``allow_pickle``."""
    arrays = {
        "features": embeddings.features.numpy(),
        "split": np.array(SPLITS)[embeddings.split.numpy()],
        "classes": np.array(embeddings.classes, dtype=np.str_),
        "facts": np.array(json.dumps(embeddings.facts)),
        **{f"factor.{name}": values.numpy() for name, values in embeddings.factors.items()},
    }
    if embeddings.labels is not None:
        arrays["labels"] = embeddings.labels.numpy()
    if embeddings.paths:
        arrays["paths"] = np.array(embeddings.paths)
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def write_safetensors(embeddings: Embeddings, path: Path) -> None:
    """Tensors ``features``, ``split`` (0 train, 1 test), and ``labels``, ``factor.NAME`` where they are known;
    ``classes``, ``paths`` and the facts are JSON in the header."""
    from safetensors.torch import save_file

    tensors = {"features": embeddings.features, "split": embeddings.split}
    if embeddings.labels is not None:
        tensors["labels"] = embeddings.labels
    tensors |= {f"factor.{name}": values for name, values in embeddings.factors.items()}
    header = {name: json.dumps(getattr(embeddings, name)) for name in ("classes", "paths", "facts")}
    header |= {"format": "pt", "splits": json.dumps(SPLITS)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, header)


WRITERS: dict[str, Callable[[Embeddings, Path], None]] = {
    ".parquet": write_parquet,
    ".npz": write_npz,
    ".safetensors": write_safetensors,
}
