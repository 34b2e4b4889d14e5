"""A trained encoder as a folder that others load: weights as safetensors, and a configuration in timm's layout.

The layout is that of models on the Hugging Face hub (``architecture``, ``model_args``, ``pretrained_cfg``), so that
plain timm reads it. A network that timm does not have is named by its sslbench backbone and parameters instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save

from sslbench.contracts.backbone import Backbone, BackboneSpec, TimmModel
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.method import InputSpec, Method
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.cell import Choice
from sslbench.plan.choose import sent
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.atomic import write_atomically
from sslbench.store.record import Record, TrainingInput
from sslbench.train.build import build_method
from sslbench.train.checkpoint import load_tensors

NAMED = 8
"""trainings that a message lists"""


@dataclass(frozen=True)
class Written:
    """What was written, and how it is loaded."""

    what: str
    features: int
    parameters: int
    ways: tuple[str, ...]


def export(records: Sequence[Record], results: Path, out: Path, registry: Registry | None = None) -> Written:
    """Write the encoder of the one training that ``records`` of ``results`` share to the folder ``out``.

    Raises UserError where they share none, where its weights are gone, where what is judged is no backbone, and for
    an ``out`` that holds something.
    """
    registry = registry or default_registry()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"-o {out}: is there already and not empty; name a new folder")
    record = one_training(records)
    files = pretraining_files(results, key_of(record))
    method, given = trained(record, files, registry)
    encoder = method.encoder
    if not isinstance(encoder, Backbone):
        raise UserError(f"{record.method} has no network to export: what is judged is {type(encoder).__name__}")
    plain = encoder.as_timm()
    if plain is None and not record.backbone:
        raise UserError(f"{titled(record)}: its network is neither one of timm's nor a backbone of sslbench")
    weights = plain.weights if plain else encoder.state_dict()
    wanted = method.input_spec or InputSpec(given.image_size, triple(given.mean), triple(given.std))
    config = configuration(record, encoder, plain, wanted, registry)
    # Tied tensors are stored once per name: safetensors refuses views of one storage.
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    write_atomically(out / "model.safetensors", save(whole, {"format": "pt"}))
    write_atomically(out / "config.json", json.dumps(config, indent=2, allow_nan=False).encode())
    parameters = sum(p.numel() for p in encoder.parameters())
    return Written(titled(record), encoder.feature_dim, parameters, ways(out, plain))


def one_training(records: Sequence[Record]) -> Record:
    """The last record of the only training that is finished. Raises UserError where there is none or more than one."""
    found = {key_of(record): record for record in records if record.finished and key_of(record)}
    if not found:
        raise UserError(f"none of the {len(records)} results is of a finished training (see: sslbench results DIR)")
    if len(found) > 1:
        listed = [titled(record) for record in found.values()]
        more = f", and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
        raise UserError(
            f"{len(found)} trainings are there; choose one with --where, such as --where method=NAME --where seed=0:"
            f" {'; '.join(listed[:NAMED])}{more}"
        )
    return next(iter(found.values()))


def titled(record: Record) -> str:
    axes = (record.method, record.augmentation, record.masking, record.backbone, record.dataset)
    names = filter(None, axes)
    return f"{' '.join(names)} seed {record.seed}"


def key_of(record: Record) -> str:
    """Of its pretraining; empty where there is none."""
    return (record.pretraining.key if record.pretraining else None) or ""


def chosen_in(record: Record, registry: Registry) -> dict[str, Choice[Any]]:
    """What was trained, as a record tells it."""
    return {
        kind: sent(kind, PluginChoice(name, record.params.get(kind, {})), registry)
        for kind in ("method", "backbone")
        if (name := getattr(record, kind))
    }


def trained(record: Record, files: PretrainingFiles, registry: Registry) -> tuple[Method, TrainingInput]:
    """The method with its weights, and the input it was trained on."""
    given = record.pretraining.input if record.pretraining else None
    if given is None:
        raise UserError(
            f"{titled(record)}: this record does not say what input it was trained on; run it again (--fresh)"
        )
    choices = chosen_in(record, registry)
    context = BuildContext(given.image_size, given.classes, record.seed, mask_ratio=record.mask_ratio)
    method = build_method(choices["method"], choices.get("backbone"), context)
    if choices["method"].spec.trains:
        try:
            method.load_state_dict(load_tensors(files.weights)[0])
        except (OSError, SafetensorError) as error:
            raise UserError(f"{titled(record)}: {files.weights} cannot be read: {error}") from None
        except RuntimeError:
            raise UserError(
                f"{titled(record)}: the plugins are not those that trained it, and its weights do not fit;"
                " run it again (--fresh)"
            ) from None
    return method.eval(), given


def configuration(
    record: Record,
    encoder: Backbone,
    plain: TimmModel | None,
    wanted: InputSpec,
    registry: Registry,
) -> dict[str, Any]:
    """``config.json``: timm's keys, and what sslbench knows beside them."""
    ours: dict[str, Any] = {
        key: getattr(record, key) for key in ("method", "dataset", "augmentation", "masking", "seed")
    }
    ours |= {"params": record.params, "pretraining": key_of(record)}
    config: dict[str, Any] = {"num_classes": 0, "num_features": encoder.feature_dim}
    if plain:
        config |= {"architecture": plain.architecture, "model_args": {**plain.arguments, "num_classes": 0}}
    else:
        spec = registry.get("backbone", record.backbone)
        assert isinstance(spec, BackboneSpec)
        params = record.params["backbone"]
        ours["backbone"] = {"name": record.backbone, "params": params}
        ours["image_size"] = wanted.size
        ours["provides"] = sorted(spec.provided(spec.params(**params)))
    fixed = plain is None or "img_size" in plain.arguments
    return {**config, "pretrained_cfg": as_timm_has_it(wanted, fixed), "sslbench": ours}


def as_timm_has_it(wanted: InputSpec, fixed: bool) -> dict[str, Any]:
    """An input in the words of timm's ``PretrainedCfg``. A channel without spread is only centred."""
    return {
        "tag": "sslbench",
        "input_size": [3, wanted.size, wanted.size],
        "fixed_input_size": fixed,
        "interpolation": wanted.interpolation,
        "crop_pct": wanted.crop,
        "crop_mode": "center",
        "mean": list(wanted.mean),
        "std": [value if value > 0 else 1.0 for value in wanted.std],
        "num_classes": 0,
        "pool_size": None,
        "first_conv": None,
        "classifier": None,
    }


def triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def ways(out: Path, plain: TimmModel | None) -> tuple[str, ...]:
    own = f"here: sslbench run -m pretrained:path={out}"
    if plain is None:
        return (own, "in timm: no, this network is not one of timm's")
    return own, f"in timm: timm.create_model('local-dir:{out}', pretrained=True)"
