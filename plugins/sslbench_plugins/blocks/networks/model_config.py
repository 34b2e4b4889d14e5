"""A model's ``config.json``, as timm and ``sslbench export`` write it: every value checked, nothing else passed on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sslbench import UserError

ARGUMENTS = frozenset(
    """
    img_size patch_size in_chans embed_dim embed_dims depth depths num_heads num_kv_heads head_dim mlp_ratio mlp_ratios
    qkv_bias qkv_fused qk_norm proj_bias init_values layer_scale_init_value ls_init_value class_token reg_tokens
    num_reg_tokens pos_embed no_embed_class pre_norm final_norm fc_norm use_fc_norm norm_eps pool_include_prefix
    global_pool dynamic_img_size dynamic_img_pad strict_img_size use_abs_pos_emb use_rel_pos_bias
    use_shared_rel_pos_bias use_rot_pos_emb rope_type rope_temperature rope_grid_offset ref_feat_shape swiglu_mlp
    scale_mlp scale_attn_inner window_size window_ratio always_partition drop_rate pos_drop_rate patch_drop_rate
    proj_drop_rate attn_drop_rate drop_path_rate drop_block_rate layers dims channels widths width cardinality
    base_width groups output_stride stem_type stem_width stem_size stem_chs deep_stem replace_stem_pool avg_down
    kernel_size kernel_sizes conv_mlp conv_bias use_grn downsamples head_hidden_size head_norm_first head_init_scale
    num_features channel_multiplier fix_stem expand_ratio sr_ratios distilled weight_init fix_init norm_layer act_layer
    attn_type attn_only_layer_scale attn_pool_num_heads attn_pool_mlp_ratio rope_rotate_half rope_grid_indexing
    swiglu_align_to use_post_norm use_pre_transformer_norm use_post_transformer_norm
    """.split()
)
"""keys of ``model_args`` that reach ``timm.create_model``: what shapes a network. None names a file or an address"""
WORD = re.compile(r"[A-Za-z0-9_]{0,40}")


def check_argument(value: Any) -> Any:
    """A number, true, false, null, a plain word, or a list of these."""
    if isinstance(value, list):
        return [check_argument(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and WORD.fullmatch(value)):
        return value
    raise ValueError(f"is {str(value)[:60]!r}; allowed: numbers, true, false, a plain word, lists of these")


class Read(BaseModel):
    """A part of a configuration; keys that are not named here are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


Three = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class PublishedInput(Read):
    """``pretrained_cfg``: what the weights were trained on, in timm's words; None where it does not say."""

    input_size: tuple[int, int, int] | None = None
    """channels, height, width"""
    mean: Three | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    crop_pct: float | None = Field(None, gt=0)
    crop_mode: str | None = None
    interpolation: str | None = None
    license: str | None = None
    classifier: str | list[str] | None = None


class BackboneOfFile(Read):
    """A backbone plugin and its parameters."""

    name: str = Field(pattern=r"^[\w.-]+$")
    params: dict[str, Any] = Field(default_factory=dict)


class Exported(Read):
    """What ``sslbench export`` says beside timm's keys: of a network that timm does not have, and of the input."""

    backbone: BackboneOfFile | None = None
    image_size: int = Field(0, ge=0)
    provides: list[str] = Field(default_factory=list)
    white: dict[str, Annotated[float, Field(gt=0)]] | None = None
    """value of deep grey that became 255 in training, by kind; None: not known"""


class ModelConfig(Read):
    """A network, and what its weights were trained on."""

    architecture: str = ""
    """timm's name, with a tag or without; empty for a network of ``sslbench.backbone``"""
    model_args: dict[str, Annotated[Any, AfterValidator(check_argument)]] = Field(default_factory=dict)
    """of ``timm.create_model``, but for the number of classes, which is none"""
    pretrained_cfg: PublishedInput | None = None
    sslbench: Exported | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_arguments(cls, data: Any) -> Any:
        """Without the number of classes, and ``pretrained_cfg`` also where timm once spread it over the top level."""
        if not isinstance(data, dict):
            return data
        inner = {} if data.get("pretrained_cfg") or "input_size" not in data else {"pretrained_cfg": data}
        given = data.get("model_args")
        args = {k: v for k, v in given.items() if k != "num_classes"} if isinstance(given, dict) else given or {}
        if unknown := [str(name)[:60] for name in args if name not in ARGUMENTS]:
            raise ValueError(f"model_args has {', '.join(unknown)}; allowed there: what shapes a network")
        return {**data, **inner, "model_args": args}

    @model_validator(mode="after")
    def _one_network(self) -> ModelConfig:
        if not self.architecture and (self.sslbench is None or self.sslbench.backbone is None):
            raise ValueError("names no architecture that timm or sslbench knows")
        return self


def read_config(path: Path) -> ModelConfig:
    """A model's configuration. Raises UserError where it cannot be read, names no network, or wants more than one."""
    try:
        return ModelConfig.model_validate_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise UserError(f"{path} {first_mistake(error)}") from None


def first_mistake(error: ValidationError) -> str:
    """The first thing that is wrong with a configuration, in words."""
    item = error.errors(include_url=False, include_context=False)[0]
    message = item["msg"].removeprefix("Value error, ")
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "json_invalid":
        return f"cannot be read: {message}"
    if not place:
        return message
    given = "" if message.startswith("is ") else f" = {str(item['input'])[:60]!r}:"
    return f"{place}{given} {message[:1].lower()}{message[1:]}"
