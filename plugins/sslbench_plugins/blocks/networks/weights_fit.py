"""Tensors of a file fitted to a network whatever they are wrapped in, with an account of every one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sslbench import UserError
from sslbench_plugins.blocks.networks.copies import Tensors, Which, choose_copy, kind_of, prefixes_of
from sslbench_plugins.blocks.networks.left_over import OWN_KIND, folded, in_words, why_left
from sslbench_plugins.blocks.networks.traced import sources_of, traced

EXAMPLES = 3
"""names that a message gives as examples"""


@dataclass(frozen=True)
class Fit:
    """Tensors by the network's names, and what became of those of the file."""

    tensors: Tensors
    prefix: str
    chosen: str | None
    """``ema`` or ``raw`` where the file has several copies, or was asked for one"""
    used: frozenset[str]
    """names in the file"""
    changed: Mapping[str, list[str]]
    dropped: Mapping[str, list[str]]
    """reason -> names in the file"""


def wanted_of(net: nn.Module) -> dict[str, Tensor]:
    """What a file has to have for a network."""
    return {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}


def best_fit(net: nn.Module, tensors: Tensors, which: Which, where: str) -> Fit:
    """The layout in which most of the network's tensors are there: prefixes such as ``module.`` or ``teacher.`` are
    found by what fits, and timm's own conversions of other layouts are tried. Raises UserError where the file has no
    copy of the kind that is asked for."""
    wanted = wanted_of(net)
    prefixes = prefixes_of(tensors, wanted)
    prefix = choose_copy(prefixes, which, where)
    own = traced(tensors)
    best = max(layouts(net, own, prefix), key=lambda layout: fitting(layout, wanted))
    taken = {name: best[name] for name in net.state_dict() if name in best}
    used = frozenset[str]().union(*(sources_of(value, name) for name, value in taken.items()))
    dropped: dict[str, list[str]] = {}
    others = [other for other in prefixes if other != prefix]
    buffers = {name for name, _ in net.named_buffers()}
    for name in tensors:
        if name not in used:
            dropped.setdefault(why_left(net, buffers, name, prefix, others), []).append(name)
    chosen = kind_of(prefix) if others or which != "auto" else None
    return Fit(taken, prefix, chosen, used, changes(taken, tensors, prefix), dropped)


def layouts(net: nn.Module, tensors: Tensors, prefix: str) -> Iterator[Tensors]:
    """The tensors by names that may be the network's."""
    plain = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    yield plain
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return
    for layout in (plain, dict(tensors)):
        try:
            yield convert(dict(layout), net)
        except Exception:  # whatever a conversion trips over, the file has another layout
            continue


def changes(taken: Tensors, tensors: Tensors, prefix: str) -> dict[str, list[str]]:
    """``renamed``, ``reshaped``, ``resampled`` or ``merged`` -> the network's names of what is not as in the file."""
    found: dict[str, list[str]] = {}
    for name, value in taken.items():
        sources = sources_of(value, prefix + name)
        source = next(iter(sources))
        before = tensors.get(source)
        if len(sources) > 1:
            found.setdefault("merged", []).append(name)
        elif before is not None and before.shape != value.shape:
            kind = "reshaped" if before.numel() == value.numel() else "resampled"
            found.setdefault(kind, []).append(name)
        elif source != prefix + name:
            found.setdefault("renamed", []).append(name)
    return found


def fitting(tensors: Tensors, wanted: Tensors) -> int:
    """How many of the wanted tensors there are, in the wanted shape, as floating-point numbers where those are."""
    return sum(
        name in tensors
        and tensors[name].shape == value.shape
        and tensors[name].is_floating_point() == value.is_floating_point()
        for name, value in wanted.items()
    )


def fits(net: nn.Module, tensors: Tensors) -> bool:
    """Whether a network has all of the tensors of its own kind, and lacks none."""
    wanted = wanted_of(net)
    prefix = choose_copy(prefixes_of(tensors, wanted), "auto", "")
    if not any(fitting(layout, wanted) == len(wanted) for layout in layouts(net, tensors, prefix)):
        return False
    return OWN_KIND not in best_fit(net, tensors, "auto", "").dropped


def load(
    net: nn.Module,
    tensors: Tensors,
    where: str,
    which: Which = "auto",
    allow_unused: bool = False,
    likely: Callable[[], str] = str,
) -> Fit:
    """Load the tensors into ``net``, all of it. ``where`` stands before messages; ``likely`` names the architecture
    that they would fit. Raises UserError where one of the network's tensors is missing, of another shape or not
    finite, and, unless ``allow_unused``, where the file has more of the network's own kind than the network."""
    fit, wanted = best_fit(net, tensors, which, where), wanted_of(net)
    if fitting(fit.tensors, wanted) < len(wanted):
        raise UserError(misfit(fit.tensors, tensors, wanted, where) + suggestion(likely))
    if (own := fit.dropped.get(OWN_KIND)) and not allow_unused:
        raise UserError(
            f"{where}: {len(own)} of the file's {len(tensors)} tensors are of the network's own kind and would not be"
            f" used: {in_words(folded(own))}{suggestion(likely)}; allow_unused=true leaves them out"
        )
    if broken := [name for name, value in fit.tensors.items() if not bool(torch.isfinite(value).all())]:
        raise UserError(f"{where}: {len(broken)} tensors are not finite: {examples(broken)}")
    net.load_state_dict({name: value.as_subclass(Tensor) for name, value in fit.tensors.items()}, strict=False)
    return fit


def suggestion(likely: Callable[[], str]) -> str:
    """A clause on the architecture that would fit, if there is one."""
    name = likely()
    return f"; these weights fit {name}" if name else ""


def misfit(tensors: Tensors, of_file: Tensors, wanted: Tensors, where: str) -> str:
    """One line on tensors that do not fit a network, with examples."""
    missing = [name for name in wanted if name not in tensors]
    there = {name: tensors[name] for name in wanted if name in tensors}
    shapes = [
        f"{name} {list(value.shape)} instead of {list(wanted[name].shape)}"
        for name, value in there.items()
        if value.shape != wanted[name].shape
    ]
    kinds = [name for name, value in there.items() if value.is_floating_point() != wanted[name].is_floating_point()]
    parts = [f"{where}: {fitting(tensors, wanted)} of the network's {len(wanted)} tensors are in the file"]
    parts += [f"missing: {examples(missing)}"] if missing else []
    parts += [f"of another shape: {', '.join(shapes[:EXAMPLES])}"] if shapes else []
    parts += [f"whole numbers: {examples(kinds)}"] if kinds else []
    parts.append(f"the file has {examples(list(of_file)) or 'no tensor'}")
    return "; ".join(parts)


def examples(names: list[str]) -> str:
    """The first names, with dots where there are more."""
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")


def account(fit: Fit, tensors: Tensors) -> dict[str, Any]:
    """The fields of ``LoadedWeights`` that a fit knows."""
    return {
        "tensors": len(tensors),
        "used": len(fit.used),
        "chosen": fit.chosen,
        "prefix": fit.prefix,
        "changed": {what: folded(names) for what, names in fit.changed.items()},
        "dropped": {reason: folded(names) for reason, names in fit.dropped.items()},
    }


def account_in_words(fit: Fit, tensors: Tensors, expected: bool) -> list[str]:
    """One line on what was not taken as it is in the file, if anything; ``expected``: a classifier that is left out
    goes without saying."""
    quiet = {"the classifier, or a head in its place", "computed by the network itself"} if expected else set()
    parts = [f"{in_words(folded(names))} {what}" for what, names in fit.changed.items()]
    if fit.dropped.keys() - quiet:
        left = [f"{in_words(folded(names))}: {reason}" for reason, names in fit.dropped.items()]
        parts.append(f"left out: {'; '.join(left)}")
    if fit.chosen:
        parts.insert(0, f"weights = {fit.chosen}")
    if fit.prefix and not expected:
        parts.insert(0, f"behind {fit.prefix!r}")
    return [f"{len(fit.used)} of {len(tensors)} tensors are used; {'; '.join(parts)}"] if parts else []
