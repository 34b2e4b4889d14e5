"""Why a tensor of a file is not used by a network; and whether that network should have had it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn

OWN_KIND = "of the network's own kind"
STATE = frozenset("optimizer optim optimizers optimizer_states scheduler lr_scheduler lr_schedulers scaler amp".split())
HEADS = frozenset("fc head heads head_dist classifier last_layer head_drop pre_logits linear_head".split())
PRETRAINING = frozenset(
    """projector projection projection_head predictor prediction_head prototypes decoder decoder_blocks decoder_embed
    decoder_pos_embed decoder_norm decoder_pred mask_token mask_embed queue queue_ptr queue_labels dino_head ibot_head
    dino_loss ibot_patch_loss center logit_scale logit_bias text text_model text_projection token_embedding
    positional_embedding ln_final proj visual_projection""".split()
)
COMPUTED = re.compile(r"(^|\.)(num_batches_tracked|relative_position_index|attn_mask|position_ids|periods)$")


def why_left(net: nn.Module, buffers: Collection[str], name: str, prefix: str, others: Iterable[str]) -> str:
    """Why ``name`` is not used by ``net``, which has these ``buffers``, and whose own tensors stand behind ``prefix``
    and their copies behind ``others``."""
    copy = next((other for other in others if name.startswith(other)), "")
    own = name.removeprefix(prefix)
    words = own.split(".")
    if STATE & set(name.split(".")[:2]):
        return "state of the optimizer"
    if copy and len(copy) > len(prefix if name.startswith(prefix) else ""):
        return f"another copy of the weights ({copy.rstrip('.')})"
    if COMPUTED.search(own) or own in buffers:
        return "computed by the network itself"
    if is_classifier(net, own):
        return "the classifier, or a head in its place"
    if PRETRAINING & set(words):
        return "a part that only the pretraining needs"
    if hasattr(net, words[0]) or re.search(r"_tokens?$", own):
        return OWN_KIND
    return "the network has no such part"


def is_classifier(net: Any, name: str) -> bool:
    """Whether a tensor is of the classifier by timm's configuration of the network, or by its name."""
    cfg = getattr(net, "pretrained_cfg", None) or {}
    named = cfg.get("classifier") or ()
    names = [named] if isinstance(named, str) else list(named)
    return name.split(".")[0] in HEADS or any(name == one or name.startswith(f"{one}.") for one in names)


def folded(names: Iterable[str]) -> dict[str, int]:
    """Names with * for their numbers, each with how many there are."""
    return dict(Counter(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names))


def in_words(names: Mapping[str, int], most: int = 3) -> str:
    """``a.*.weight (12), b and 3 more``."""
    shown = [name if count == 1 else f"{name} ({count})" for name, count in list(names.items())[:most]]
    rest = sum(list(names.values())[most:])
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
