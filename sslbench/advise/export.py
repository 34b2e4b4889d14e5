"""A trained encoder as a folder that others load: weights as safetensors, and a configuration in timm's layout.

The layout is that of models on the Hugging Face hub (``architecture``, ``model_args``, ``pretrained_cfg``), so that
plain timm reads it. A network that timm does not have is named by its sslbench backbone and parameters instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save

from sslbench.contracts.backbone import Backbone, TimmModel
from sslbench.contracts.defaults import PRETRAINED
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.method import InputSpec, Method
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry, default_registry
from sslbench.plan.cell import Choice
from sslbench.plan.choose import sent
from sslbench.store.artifacts import pretraining_files
from sslbench.store.atomic import is_left_over
from sslbench.store.digests import EMPTY, FIELD, DamagedFile, check_digest, write_digested, write_json
from sslbench.store.record import Record, TrainingInput
from sslbench.train.checkpoint import load_tensors
from sslbench.train.task import build_method

WEIGHTS = "model.safetensors"
LISTED = 8
"""trainings that a message lists"""


@dataclass(frozen=True)
class ExportedModel:
    """What was written, and how it is loaded."""

    title: str
    """the training, in words"""
    features: int
    """their dimension"""
    parameters: int
    ways: tuple[str, ...]
    """how it is loaded, one line each"""


def export(
    records: Sequence[Record], results: Path, out: Path, registry: Registry | None = None, *, trust: bool = False
) -> ExportedModel:
    """Write the encoder of the one training that ``records`` of ``results`` share to the folder ``out``.

    ``trust``: whether code that comes with a model may run. Raises UserError where they share none, where its weights
    are gone, where what is evaluated is no backbone, and for an ``out`` that is not empty.
    """
    registry = registry or default_registry()
    if not is_free(out):
        raise UserError(f"-o {out}: is there already and not empty; name a new folder")
    record = one_training(records)
    method, choices = load_trained(record, results, registry, trust=trust)
    encoder = method.encoder
    if not isinstance(encoder, Backbone):
        raise UserError(f"{record.method} has no network to export: what is evaluated is {type(encoder).__name__}")
    model, backbone = encoder.as_timm(), choices.get("backbone")
    if model is None and backbone is None:
        raise UserError(f"{title_of(record)}: its network is neither one of timm's nor a backbone of sslbench")
    config = config_of(record, encoder, model, backbone, method.input_spec or input_spec_of(input_of(record)))
    # Tied tensors are stored once per name: safetensors refuses views of one storage.
    tensors = (encoder.state_dict() if model is None else model.weights).items()
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors}
    write_digested(out / WEIGHTS, save(whole, {"format": "pt", FIELD: EMPTY}))
    # Last: a folder without it is half written, and is completed by the next export.
    write_json(out / "config.json", config, indent=2)
    call = f"timm.create_model('local-dir:{out}', pretrained=True)"
    in_timm = call if model is not None else "no, this network is not one of timm's"
    ways = f"here: sslbench run -m {PRETRAINED}:path={out}", f"in timm: {in_timm}"
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    return ExportedModel(title_of(record), encoder.feature_dim, parameters, ways)


def is_free(out: Path) -> bool:
    """Whether an export may be written there: to a new folder, an empty one, or one where another was interrupted."""
    if not out.exists():
        return True
    if not out.is_dir():
        return False
    names = [path.name for path in out.iterdir() if not is_left_over(path.name)]
    try:
        return not names or (names == [WEIGHTS] and bool(check_digest(out / WEIGHTS)))
    except (OSError, DamagedFile):
        return False


def config_of(
    record: Record, encoder: Backbone, model: TimmModel | None, backbone: Choice[Any] | None, wanted: InputSpec
) -> dict[str, Any]:
    """``config.json``: timm's keys and, under ``sslbench``, the training, with the network where timm does not have it.

    A channel without spread is only centred.
    """
    axes = {key: getattr(record, key) for key in ("method", "dataset", "augmentation", "masking", "seed")}
    training = {**axes, "params": record.params, "pretraining": key_of(record), "white": input_of(record).white}
    network: dict[str, Any] = {}
    if model is not None:
        network = {"architecture": model.architecture, "model_args": {**model.arguments, "num_classes": 0}}
    elif backbone is not None:
        provided = sorted(backbone.spec.provided(backbone.params))
        training |= {"backbone": backbone.description, "image_size": wanted.size, "provides": provided}
    pretrained_cfg = {
        "tag": "sslbench",
        "input_size": [3, wanted.size, wanted.size],
        "fixed_input_size": model is None or "img_size" in model.arguments,
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
    if record.weights and record.weights.licence:
        pretrained_cfg["license"] = record.weights.licence
    sizes = {"num_classes": 0, "num_features": encoder.feature_dim}
    return {**sizes, **network, "pretrained_cfg": pretrained_cfg, "sslbench": training}


def one_training(records: Sequence[Record]) -> Record:
    """The last record of the only training that is finished. Raises UserError where there is none or more than one."""
    trainings = {key_of(record): record for record in records if record.finished and key_of(record)}
    if not trainings:
        raise UserError(f"none of the {len(records)} results is of a finished training (see: sslbench results DIR)")
    if len(trainings) > 1:
        titles = [title_of(record) for record in trainings.values()]
        more = f", and {len(titles) - LISTED} more" if len(titles) > LISTED else ""
        raise UserError(
            f"{len(trainings)} trainings are there; choose one with --where, such as --where method=NAME --where"
            f" seed=0: {'; '.join(titles[:LISTED])}{more}"
        )
    return next(iter(trainings.values()))


def title_of(record: Record) -> str:
    """Its plugins and seed."""
    axes = (record.method, record.augmentation, record.masking, record.backbone, record.dataset)
    return f"{' '.join(filter(None, axes))} seed {record.seed}"


def key_of(record: Record) -> str:
    """Of its pretraining; empty where there is none."""
    return (record.pretraining.key if record.pretraining else None) or ""


def input_of(record: Record) -> TrainingInput:
    """What it was trained on. Raises UserError for a record that does not have it."""
    training_input = record.pretraining.input if record.pretraining else None
    if training_input is None:
        raise UserError(
            f"{title_of(record)}: this record does not say what input it was trained on; run it again (--fresh)"
        )
    return training_input


def input_spec_of(training_input: TrainingInput) -> InputSpec:
    """What an encoder is given that was trained on this."""
    (red, green, blue), (red_std, green_std, blue_std) = training_input.mean, training_input.std
    return InputSpec(training_input.image_size, (red, green, blue), (red_std, green_std, blue_std))


def load_trained(
    record: Record, results: Path, registry: Registry, *, trust: bool = False
) -> tuple[Method, dict[str, Choice[Any]]]:
    """The method that a record of the folder ``results`` is of, as trained and in eval mode, and its plugins. Raises
    UserError as ``export`` does."""
    names = {"method": record.method} | ({"backbone": record.backbone} if record.backbone else {})
    plain = {kind: PluginChoice(name, record.params.get(kind, {})) for kind, name in names.items()}
    choices = {kind: sent(kind, choice, registry) for kind, choice in plain.items()}
    training_input = input_of(record)
    context = BuildContext(training_input.image_size, training_input.classes, record.seed, trust=trust)
    given = input_spec_of(training_input)
    context = replace(context, mask_ratio=record.mask_ratio, mean=given.mean, std=given.std)
    return trained(record, context, choices, pretraining_files(results, key_of(record)).weights), choices


def trained(record: Record, context: BuildContext, choices: Mapping[str, Choice[Any]], weights: Path) -> Method:
    """The method with the weights of the file. Raises UserError where they cannot be read or do not fit."""
    method = build_method(choices["method"], choices.get("backbone"), context)
    if choices["method"].spec.trains:
        try:
            method.load_state_dict(load_tensors(weights)[0])
        except DamagedFile as error:
            raise UserError(f"{title_of(record)}: {error}; run it again (--fresh)") from None
        except OSError as error:
            raise UserError(
                f"{title_of(record)}: {weights} cannot be read: {error.strerror}; run it again (--fresh)"
            ) from None
        except RuntimeError:
            raise UserError(
                f"{title_of(record)}: the plugins are not those that trained it, and its weights do not fit;"
                " run it again (--fresh)"
            ) from None
    return method.eval()
