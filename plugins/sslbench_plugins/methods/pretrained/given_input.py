"""The input that a pretrained model is given, and who says so: the user, its configuration, timm, or a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from sslbench import Backbone, InputSpec, UserError
from sslbench_plugins.blocks.networks.model_config import ModelConfig
from sslbench_plugins.blocks.networks.model_files import HUB, METHOD
from sslbench_plugins.methods.pretrained.params import PretrainedParams

PARTS = ("size", "mean", "std", "crop", "interpolation")
TIMMS = {"size": "input_size", "crop": "crop_pct"}
"""part -> its name in timm's configuration, where that is another"""


@dataclass(frozen=True)
class GivenInput:
    """An input, who says each part of it, and what a user should know about it."""

    spec: InputSpec
    origins: Mapping[str, str]
    notes: tuple[str, ...]


def configured_input(config: ModelConfig, encoder: Backbone, params: PretrainedParams) -> GivenInput:
    """The model's own input, with what the user sets. Raises UserError where it is not that of square colour images."""
    from timm.data.config import resolve_data_config

    own = config.pretrained_cfg
    said = own.model_dump(exclude_none=True) if own else {}
    given = said or getattr(getattr(encoder, "net", None), "pretrained_cfg", {})
    data = resolve_data_config(pretrained_cfg=given, verbose=False)  # type: ignore[no-untyped-call]
    channels, height, width = data["input_size"]
    if channels != 3 or height != width:
        wanted = f"{channels} channels of {height} x {width}"
        raise UserError(f"{METHOD}: the model wants images of {wanted}; they have 3 channels and are square")
    side = config.model_args.get("img_size") or width
    spec = InputSpec(
        size=side if isinstance(side, int) else side[-1],
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        crop=min(1.0, data["crop_pct"]),
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
    )
    names = {part: TIMMS.get(part, part) for part in PARTS}
    default = "guess" if own or (params.path and "." not in params.name) or params.name.startswith(HUB) else "timm"
    origins = {part: "config" if name in said else default for part, name in names.items()}
    if "img_size" in config.model_args:
        origins["size"] = "config"
    return with_users(spec, origins, params, not_honoured(data))


def guessed_input(spec: InputSpec, params: PretrainedParams) -> GivenInput:
    """An input that nothing but the user says anything of."""
    return with_users(spec, dict.fromkeys(PARTS, "guess"), params, [])


def with_users(spec: InputSpec, origins: Mapping[str, str], params: PretrainedParams, notes: list[str]) -> GivenInput:
    """The input with what the parameters set, and a note on what remains a guess."""
    users = {part: value for part in PARTS if (value := getattr(params, part)) not in (None, 0)}
    spec = InputSpec(**{**asdict(spec), **users})
    origins = {**origins, **dict.fromkeys(users, "user")}
    if guessed := [part for part in PARTS if origins[part] == "guess"]:
        values = ", ".join(f"{part} = {shown(getattr(spec, part))}" for part in guessed)
        notes = [*notes, f"its input is a guess: {values}; parameters of these names set it"]
    return GivenInput(spec, origins, tuple(notes))


def shown(value: Any) -> str:
    """A number or several."""
    return f"[{', '.join(f'{item:g}' for item in value)}]" if isinstance(value, tuple) else str(value)


def not_honoured(data: Mapping[str, Any]) -> list[str]:
    """A line for each part of timm's configuration that images are not given by."""
    lines = []
    if data["interpolation"] not in ("bilinear", "bicubic"):
        lines.append(f"its configuration wants {data['interpolation']} interpolation; bicubic is taken")
    if cast(str, data.get("crop_mode") or "center") == "border":
        lines.append("its configuration wants a border around images; a centre crop is taken")
    if data["crop_pct"] > 1:
        lines.append(f"its configuration wants a crop of {data['crop_pct']:g}; 1 is taken")
    return lines
