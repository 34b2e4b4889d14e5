"""Features of a data set in a file that others read: parquet, npz or safetensors, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslbench.advise.frozen import Frozen
from sslbench.errors import UserError
from sslbench.store.atomic import replaced

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Embedded:
    """Every image of a data set as a row, those of the training split first."""

    features: Tensor
    """float32 ``[N, D]``"""
    split: Tensor
    """int64 ``[N]``: 0 for the training split, 1 for the one that is judged"""
    labels: Tensor | None
    """int64 ``[N]``, 0..classes-1"""
    classes: list[str]
    paths: list[str]
    """of the files, or empty where the data set does not know them"""
    factors: Mapping[str, Tensor]
    """``[N]`` each"""
    facts: Mapping[str, Any]
    """what made them: model, data set, input"""

    def __len__(self) -> int:
        return len(self.features)


def embedded(frozen: Frozen) -> Embedded:
    """The features of both splits of a data set, from the cache where they are kept."""
    parts = frozen.extraction.train, frozen.extraction.test
    splits = frozen.data.train, frozen.data.test
    labels = [part.labels for part in parts if part.labels is not None]
    wanted = frozen.input_spec
    facts = {
        "model": {kind: asdict(plugin) for kind, plugin in frozen.model.plugins.items()},
        "dataset": frozen.dataset.description,
        "weights": frozen.pretraining.weights,
        "data": frozen.pretraining.fingerprint,
        "input": {key: getattr(wanted, key) for key in ("size", "mean", "std", "crop", "interpolation")},
        "precision": frozen.settings.training.precision,
    }
    return Embedded(
        torch.cat([part.features for part in parts]).cpu(),
        torch.tensor([number for number, part in enumerate(parts) for _ in range(len(part.features))]),
        torch.cat(labels).cpu() if len(labels) == len(parts) else None,
        frozen.classes,
        [path for split in splits for path in split.paths],
        {name: torch.cat([part.factors[name] for part in parts]).cpu() for name in parts[0].factors},
        facts,
    )


def check_file(out: Path) -> None:
    """Raises UserError for a name whose ending is none of the formats, or a folder."""
    if out.suffix not in WRITERS:
        raise UserError(f"-o {out}: the ending says the format; allowed: {', '.join(WRITERS)}")
    if out.is_dir():
        raise UserError(f"-o {out}: is a folder; name a file")


def write(found: Embedded, out: Path) -> None:
    """The file takes the place of an older one when it is complete."""
    try:
        with replaced(out) as partial:
            WRITERS[out.suffix](found, partial)
    except OSError as error:
        raise UserError(f"-o {out}: cannot be written: {error.strerror or error}") from None


def write_parquet(found: Embedded, path: Path) -> None:
    """Columns ``path``, ``split``, ``label``, ``label_name`` and ``factor.NAME`` where they are known, and
    ``features``, a list of float32; the facts are in the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    if found.paths:
        columns["path"] = pa.array(found.paths)
    columns["split"] = pa.array([SPLITS[number] for number in found.split.tolist()])
    if found.labels is not None:
        columns["label"] = pa.array(found.labels.numpy())
        columns["label_name"] = pa.array([found.classes[label] for label in found.labels.tolist()])
    columns |= {f"factor.{name}": pa.array(values.numpy()) for name, values in found.factors.items()}
    flat = pa.array(found.features.numpy().reshape(-1))
    columns["features"] = pa.FixedSizeListArray.from_arrays(flat, found.features.shape[1])
    table = pa.table(columns).replace_schema_metadata({"sslbench": json.dumps(found.facts)})
    pq.write_table(table, path)


def write_npz(found: Embedded, path: Path) -> None:
    """Arrays ``features``, ``split``, ``classes``, and ``labels``, ``paths``, ``factor.NAME`` where they are known;
    ``facts`` is JSON. None needs ``allow_pickle``."""
    arrays = {
        "features": found.features.numpy(),
        "split": np.array(SPLITS)[found.split.numpy()],
        "classes": np.array(found.classes, dtype=np.str_),
        "facts": np.array(json.dumps(found.facts)),
        **{f"factor.{name}": values.numpy() for name, values in found.factors.items()},
    }
    if found.labels is not None:
        arrays["labels"] = found.labels.numpy()
    if found.paths:
        arrays["paths"] = np.array(found.paths)
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def write_safetensors(found: Embedded, path: Path) -> None:
    """Tensors ``features``, ``split`` (0 train, 1 test), and ``labels``, ``factor.NAME`` where they are known;
    ``classes``, ``paths`` and the facts are JSON in the header."""
    from safetensors.torch import save_file

    tensors = {"features": found.features, "split": found.split}
    if found.labels is not None:
        tensors["labels"] = found.labels
    tensors |= {f"factor.{name}": values for name, values in found.factors.items()}
    words = {"classes": found.classes, "paths": found.paths, "facts": found.facts, "splits": SPLITS}
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        path,
        {"format": "pt", **{name: json.dumps(value) for name, value in words.items()}},
    )


WRITERS: dict[str, Callable[[Embedded, Path], None]] = {
    ".parquet": write_parquet,
    ".npz": write_npz,
    ".safetensors": write_safetensors,
}
