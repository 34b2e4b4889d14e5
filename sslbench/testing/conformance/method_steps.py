"""Steps of methods: in half precision, with one seed, on a GPU; what they change and what they leave."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslbench.testing.conformance.backbones import HALF
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.datasets import named_plugin
from sslbench.testing.conformance.draws import differ
from sslbench.testing.conformance.methods import (
    PROGRESS,
    build,
    call,
    copied,
    given_tensors,
    inputs_of,
    method,
    step,
    tiny_backbone,
)
from sslbench.testing.conformance.modules import changed, frozen_in, modes_of, seeded
from sslbench.testing.conformance.problem import Problems, gpu_problems
from sslbench.testing.pretended_gpu import PretendedGpu, without_numbers

GLOBAL = "Randomness inside ``forward`` may come from torch's global generators: the loop seeds them before each step"


@check("method", HALF, "forward")
def loss_in_half_precision(trial: Trial) -> Problems:
    """In bf16 on the CPU: still of float32, and about the same."""
    if not trial.spec.trains:
        return
    built = method(trial).train()
    inputs = inputs_of(trial, built)
    whole, _ = call(method(trial).train(), copied(inputs))
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = call(built, inputs)
    if loss.dtype != torch.float32:
        yield f"under autocast the loss is {loss.dtype}, not torch.float32: its sums are rounded to a few digits"
    elif abs(loss.item() - whole.item()) > 0.1 * max(1.0, abs(whole.item())):
        yield f"under autocast the loss is {loss.item():.4g}, otherwise {whole.item():.4g}"
    loss.backward()  # type: ignore[no-untyped-call]


@check("method", GLOBAL, "forward")
def same_for_the_same_seed(trial: Trial) -> Problems:
    """Two that are built alike have one loss."""
    if not trial.spec.trains:
        return
    losses = []
    for _ in range(2):
        built = method(trial).train()
        losses.append(call(built, inputs_of(trial, built))[0].detach())
    if differ(*losses):
        yield "its loss is not the same for the same views, weights and seed"


@check("method", "**A call changes nothing but batch statistics**", "forward")
def a_call_changes_nothing_else(trial: Trial) -> Problems:
    """Its views and masks, its mode, what is frozen, parameters and their gradients."""
    if not trial.spec.trains:
        return
    built = method(trial).train()
    inputs = inputs_of(trial, built)
    kept = given_tensors(copied(inputs))
    before = modes_of(built), frozen_in(built), dict(built.named_parameters())
    values = {name: p.detach().clone() for name, p in before[2].items()}
    call(built, inputs)
    for name, tensor in given_tensors(inputs).items():
        if differ(tensor, kept[name]):
            yield f"it changes {name} that it is given"
    if changed(values, dict(built.named_parameters())):
        yield f"forward changes the parameter {changed(values, dict(built.named_parameters()))[0]}"
    if left := [name for name, parameter in built.named_parameters() if parameter.grad is not None]:
        yield f"forward leaves a gradient in {left[0]}, to which that of the step is added"
    if modes_of(built) != before[0]:
        yield "forward leaves a part of it in another mode"
    if frozen_in(built) != before[1]:
        yield "forward changes which parameters need a gradient"
    if given := [name for name, tensor in given_tensors(inputs).items() if tensor.requires_grad]:
        yield f"it makes {given[0]} need a gradient"


@check("method", "Parameters for the optimizer", "param_groups")
def parameters_are_grouped(trial: Trial) -> Problems:
    """Each that has a gradient once; none that the backbone holds frozen."""
    if not trial.spec.trains:
        return
    built = method(trial).train()
    groups = built.param_groups(0.1)
    grouped = [id(p) for group in groups for p in group["params"]]
    names = {id(p): name for name, p in built.named_parameters()}
    if len(set(grouped)) < len(grouped):
        twice = next(p for p in grouped if grouped.count(p) > 1)
        yield f"param_groups has {names.get(twice, 'a parameter')} twice"
    if strangers := [p for p in grouped if p not in names]:
        yield f"param_groups has {len(strangers)} tensors that are no parameters of the method"
    for group in groups:
        scale = group.get("lr_scale", 1.0)
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or scale < 0:
            yield f"lr_scale = {scale!r} of a group; allowed: a number, 0 or more"
    loss, _ = call(built, inputs_of(trial, built))
    loss.backward()  # type: ignore[no-untyped-call]
    missing = [name for name, p in built.named_parameters() if p.grad is not None and id(p) not in set(grouped)]
    if missing:
        yield f"param_groups leaves out {missing[0]}"


@check("method", "``after_step`` moves averages and queues", "forward")
def a_step_trains(trial: Trial) -> Problems:
    """A gradient reaches the encoder; what was frozen stays as it was."""
    if not trial.spec.trains:
        return
    with seeded(0):
        backbone = tiny_backbone(trial)
        built = build(trial, backbone).train()
    fixed = None if backbone is None else next(backbone.parameters())
    before = None if fixed is None else fixed.detach().clone()
    encoder = {name: p.detach().clone() for name, p in built.encoder.named_parameters()}
    step(built, inputs_of(trial, built))
    if fixed is not None and before is not None and (fixed.requires_grad or differ(fixed.detach(), before)):
        yield "it trains a parameter that the backbone had frozen"
    elif not changed(encoder, {name: p.detach() for name, p in built.encoder.named_parameters()}):
        yield "a step of the optimizer does not change the encoder: no gradient reaches it"


@check("method", "moves modules there itself", "forward")
def on_a_gpu(trial: Trial) -> Problems:
    """A forward pass and the end of a step on a pretended one."""
    if not trial.spec.trains:
        return
    built = method(trial).train()
    inputs = inputs_of(trial, built)
    step(built, inputs)  # after which nothing of the CPU is left of it

    def forward(gpu: PretendedGpu) -> Sequence[Tensor]:
        gpu.take(built)
        views, given = copied(inputs, without_numbers)
        loss, _ = built(views, progress=PROGRESS, **given)
        built.after_step(PROGRESS)
        return [loss, *built.state_dict().values()]

    yield from gpu_problems(forward, "forward")


@check("method", "the paper's augmentation: what ``auto`` means where the data set recommends none", "spec", "defaults")
def what_auto_means_is_there(trial: Trial) -> Problems:
    """A plugin that somebody brings."""
    for axis, text in (("augmentation", trial.spec.augmentation), ("masking", trial.spec.masking)):
        if trial.spec.trains and axis in trial.spec.uses:
            yield from named_plugin(axis, text, f"its {axis}")
