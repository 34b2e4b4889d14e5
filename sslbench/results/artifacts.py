"""What a training left on disk: its encoder and its features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from sslbench.advise.export import input_of, input_spec_of, key_of, load_trained, one_training, title_of
from sslbench.errors import UserError
from sslbench.evaluate.features import Extraction, StaleFeatures, load_extraction
from sslbench.hooks.registry import default_registry
from sslbench.results.encoder import Encoder
from sslbench.store.artifacts import pretraining_files
from sslbench.store.digests import DamagedFile
from sslbench.store.record import Record


def encoder(folder: Path, records: Sequence[Record], trust: bool) -> Encoder:
    """Of the training that the records share. Raises UserError where its weights are gone or do not fit."""
    record = one_training(records)
    method, _ = load_trained(record, folder, default_registry(), trust=trust)
    given = input_of(record)
    read_size = (record.data.image_size if record.data else None) or given.image_size
    # As that whose features were evaluated: the last bits of a convolution depend on the layout.
    network = method.to(memory_format=torch.channels_last).encoder
    return Encoder(network, method.input_spec or input_spec_of(given), read_size, given.white)


def features(folder: Path, records: Sequence[Record]) -> Extraction:
    """Of the training that the records share. Raises UserError where they are gone or damaged."""
    record = one_training(records)
    path = pretraining_files(folder, key_of(record)).features
    try:
        return load_extraction(path, torch.device("cpu"), {"key": key_of(record)})
    except FileNotFoundError:
        raise UserError(f"{title_of(record)}: {path} is gone; the same run makes it again with --fresh") from None
    except (OSError, DamagedFile, StaleFeatures) as error:
        raise UserError(f"{title_of(record)}: {error}; the same run makes it again with --fresh") from None
