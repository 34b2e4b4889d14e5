"""Methods: what their encoder and their reconstruction return, and that a step trains."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sslbench.contracts.backbone import Backbone
from sslbench.contracts.masking import masked_count
from sslbench.contracts.method import Method, MethodSpec, Progress
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.testing.conformance.devices import gpu_problems
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.testing.pretended_gpu import PretendedGpu, without_numbers

PROGRESS = Progress(0, 10, 0, 1)


def of_method(spec: Spec, params: Any) -> Problems:
    """The method on a tiny backbone: its encoder, its reconstruction if it has one, and a training step."""
    assert isinstance(spec, MethodSpec)
    unknown = spec.uses - {"backbone", "augmentation", "masking"}
    if unknown:
        yield f"uses {', '.join(sorted(unknown))}, which is no axis"
    ratio = 0.75 if "masking" in spec.uses else None
    torch.manual_seed(0)
    method = spec.build(params, BuildContext(SIZE, classes=3, backbone=backbone_for(spec), mask_ratio=ratio))
    if not isinstance(method, Method):
        yield "build must return a sslbench.Method"
        return
    method.eval()
    with torch.no_grad():
        size = method.input_spec.size if method.input_spec else SIZE
        features = method.encoder(torch.randn(4, 3, size, size))
    if features.ndim != 2 or len(features) != 4:
        yield f"the encoder returned {list(features.shape)} for 4 images, not [4, D]"
    if "reconstruction" in spec.provided(params):
        yield from reconstruction_problems(method)
    if spec.trains:
        yield from training_problems(method, ratio, spec.uses_labels)


def backbone_for(spec: MethodSpec) -> Backbone | None:
    """A tiny backbone that the method can use, None for one that uses none."""
    if "backbone" not in spec.uses:
        return None
    return TinyTokenBackbone(SIZE) if "tokens" in spec.needs else TinyBackbone()


def reconstruction_problems(method: Method) -> Problems:
    """At every usual ratio, whatever the method was built for, visible pixels must come back as they were."""
    if method.mask_grid is None:
        yield "it says that it provides reconstruction and has no mask_grid"
        return
    rows, cols = method.mask_grid
    images = torch.randn(4, 3, SIZE, SIZE)
    for ratio in (0.25, 0.5, 0.75):
        mask = torch.rand(4, rows * cols).argsort(dim=1) < masked_count(rows * cols, ratio)
        with torch.no_grad():
            reconstruction = method.reconstruct(images, mask)
        if reconstruction.shape != images.shape:
            yield f"reconstruct returned {list(reconstruction.shape)} for {list(images.shape)}"
            return
        visible = ~mask.view(4, 1, rows, cols).repeat_interleave(SIZE // rows, 2).repeat_interleave(SIZE // cols, 3)
        if not torch.allclose(reconstruction * visible, images * visible, atol=1e-5):
            yield f"ratio {ratio}: reconstruct changes visible pixels"


@dataclass(frozen=True)
class StepInput:
    """What a method's ``forward`` is given for four images."""

    views: list[Tensor]
    mask: Tensor | None
    targets: dict[str, Tensor] = field(default_factory=dict)
    """labels, for a method that trains on them"""

    def loss(self, method: Method) -> tuple[Tensor, Any]:
        """Loss and scalars of the method."""
        return method(self.views, mask=self.mask, progress=PROGRESS, **self.targets)  # type: ignore[no-any-return]

    def without_numbers(self) -> StepInput:
        """The same on the pretended GPU."""
        return StepInput(
            [without_numbers(view) for view in self.views],
            None if self.mask is None else without_numbers(self.mask),
            {name: without_numbers(tensor) for name, tensor in self.targets.items()},
        )


def step_input(method: Method, ratio: float | None, uses_labels: bool) -> StepInput:
    """Random views and labels, and a mask of the first patches."""
    views = [torch.randn(4, 3, view.size, view.size) for view in method.views]
    mask = None
    if method.mask_grid is not None and ratio is not None:
        patches = method.mask_grid[0] * method.mask_grid[1]
        mask = torch.zeros(4, patches, dtype=torch.bool)
        mask[:, : masked_count(patches, ratio)] = True
    return StepInput(views, mask, {"labels": torch.arange(4) % 3} if uses_labels else {})


def training_problems(method: Method, ratio: float | None, uses_labels: bool) -> Problems:
    """One step with plain SGD, and a forward pass on a pretended GPU."""
    method.train()
    inputs = step_input(method, ratio, uses_labels)
    if not inputs.views:
        yield "it trains but asks for no view"
        return
    loss, scalars = inputs.loss(method)
    if loss.shape != () or not math.isfinite(loss.item()):
        yield f"the loss must be one finite number, not {loss.detach()!r}"
        return
    yield from step_problems(method, loss)
    if any(value.requires_grad for value in scalars.values()):
        yield "logged scalars must be detached"

    def forward(gpu: PretendedGpu) -> list[Tensor]:
        gpu.take(method)
        loss, _ = inputs.without_numbers().loss(method)
        method.after_step(PROGRESS)
        return [loss, *method.state_dict().values()]

    yield from gpu_problems(forward, "forward")


def step_problems(method: Method, loss: Tensor) -> Problems:
    """Whether a gradient reaches the encoder, and the optimizer every parameter that has one."""
    loss.backward()  # type: ignore[no-untyped-call]
    method.after_backward(PROGRESS)
    before = [p.detach().clone() for p in method.encoder.parameters()]
    torch.optim.SGD([{"params": group["params"]} for group in method.param_groups(0.1)], lr=0.1).step()
    method.after_step(PROGRESS)
    if all(torch.equal(was, p) for was, p in zip(before, method.encoder.parameters(), strict=True)):
        yield "a step of the optimizer does not change the encoder: no gradient reaches it"
    grouped = {id(p) for group in method.param_groups(0.1) for p in group["params"]}
    missing = [name for name, p in method.named_parameters() if p.grad is not None and id(p) not in grouped]
    if missing:
        yield f"param_groups leaves out {missing[0]}"
