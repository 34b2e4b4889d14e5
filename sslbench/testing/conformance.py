"""What every plugin must pass: ``problems(spec)`` says how a spec breaks its contract, in words."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sslbench.hooks.contracts import (
    Augmentation,
    Dataset,
    EvaluationData,
    FeatureSet,
    Masking,
    Progress,
    Simulator,
    Split,
    hidden_count,
)
from sslbench.hooks.kinds import (
    AugmentationSpec,
    BackboneSpec,
    DatasetSpec,
    EvaluatorSpec,
    ExecutorSpec,
    MaskingSpec,
    MethodSpec,
    SimulatorSpec,
    Spec,
)
from sslbench.hooks.params import resolve
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone, blobs, judged_scenes
from sslbench.train.checkpoint import weights_digest
from sslbench.train.models import Backbone, Method, TokenBackbone

SIZE = 16
Problems = Iterator[str]


def problems(spec: Spec, **given: Any) -> list[str]:
    """How ``spec`` breaks the contract of its kind, one line each; empty for a good one.

    ``given`` are parameters to build it with; one with required parameters cannot be checked without them.
    """
    found = list(of_any(spec))
    params, mistakes = resolve(spec.label, spec.params, given)
    if params is None:
        return found + mistakes
    try:
        found += CHECKS.get(type(spec), lambda spec, params: iter(()))(spec, params)
    except Exception as error:
        found.append(f"raised {type(error).__name__}: {error}")
    return [f"{spec.label}: {line}" for line in found]


def of_any(spec: Spec) -> Problems:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", spec.name):
        yield f"name {spec.name!r} must be lower-case letters, digits, '-' and '.'"
    if not spec.summary or "\n" in spec.summary:
        yield "summary must be one line"
    for name, field in spec.params.model_fields.items():
        if not field.description:
            yield f"parameter {name!r} has no description"
    for preset in spec.presets:
        required = {name for name, field in spec.params.model_fields.items() if field.is_required()}
        if not required:
            yield from resolve(spec.label, spec.params, {}, spec.presets, preset)[1]


def of_augmentation(spec: Spec, params: Any) -> Problems:
    augmentation = spec.build(params)
    if not isinstance(augmentation, Augmentation):
        yield "build must answer an object with view(index, kind, size)"
        return
    generator = torch.Generator()
    for index, kind in ((0, "global"), (1, "global"), (2, "local")):
        for shape in ((SIZE, SIZE), (SIZE + 4, SIZE - 3)):
            images = torch.randint(0, 256, (5, 3, *shape), generator=generator.manual_seed(0)).to(torch.uint8)
            before, state = images.clone(), torch.get_rng_state()
            transform = augmentation.view(index, kind, SIZE)  # type: ignore[arg-type]
            out = transform(images, generator.manual_seed(1))
            again = transform(images, generator.manual_seed(1))
            where = f"view {index} ({kind}) of {shape[0]} x {shape[1]}"
            yield from image_problems(out, where)
            if not torch.equal(out, again):
                yield f"{where}: not the same for the same generator state"
            if not torch.equal(images, before):
                yield f"{where}: it changed its input"
            if not torch.equal(state, torch.get_rng_state()):
                yield f"{where}: it drew from torch's global generator instead of the one it was given"


def image_problems(out: Tensor, where: str) -> Problems:
    if out.shape != (5, 3, SIZE, SIZE) or out.dtype != torch.float32:
        yield f"{where}: answered {out.dtype} {list(out.shape)}, not float32 [5, 3, {SIZE}, {SIZE}]"
    elif not bool(torch.isfinite(out).all()) or out.min() < 0 or out.max() > 1:
        yield f"{where}: values from {out.min():.3g} to {out.max():.3g}, not within 0..1"


def of_masking(spec: Spec, params: Any) -> Problems:
    masking = spec.build(params)
    if not isinstance(masking, Masking):
        yield "build must answer an object with sample(batch, grid, ratio, generator)"
        return
    generator = torch.Generator()
    for grid in ((4, 4), (8, 8), (14, 14), (3, 7)):
        for ratio in (0.25, 0.5, 0.75, 0.9):
            patches = grid[0] * grid[1]
            where = f"grid {grid[0]} x {grid[1]}, ratio {ratio}"
            state = torch.get_rng_state()
            mask = masking.sample(6, grid, ratio, generator.manual_seed(0))
            if mask.shape != (6, patches) or mask.dtype != torch.bool:
                yield f"{where}: answered {mask.dtype} {list(mask.shape)}, not bool [6, {patches}]"
            elif not bool((mask.sum(dim=1) == hidden_count(patches, ratio)).all()):
                hidden = mask.sum(dim=1).tolist()
                yield f"{where}: hides {hidden} patches, not {hidden_count(patches, ratio)} in every row"
            if not torch.equal(mask, masking.sample(6, grid, ratio, generator.manual_seed(0))):
                yield f"{where}: not the same for the same generator state"
            if not torch.equal(state, torch.get_rng_state()):
                yield f"{where}: it drew from torch's global generator instead of the one it was given"


def of_backbone(spec: Spec, params: Any) -> Problems:
    assert isinstance(spec, BackboneSpec)
    size = 32
    backbone = spec.build(params, image_size=size, **({"download": False} if spec.fetches else {}))
    if not isinstance(backbone, Backbone):
        yield "build must answer a sslbench.Backbone"
        return
    backbone.eval()
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone(images)
        if features.shape != (3, backbone.feature_dim):
            yield f"features {list(features.shape)}, not [3, feature_dim = {backbone.feature_dim}]"
        elif not torch.allclose(features[:1], backbone(images[:1]), atol=1e-4):
            yield "in eval mode the features of an image depend on the rest of the batch"
        if "tokens" in spec.provided(params):
            yield from token_problems(backbone, images)
        if "attention" in spec.provided(params):
            yield from attention_problems(backbone, images)


def token_problems(backbone: Backbone, images: Tensor) -> Problems:
    if not isinstance(backbone, TokenBackbone):
        yield "it says that it provides tokens but is no sslbench.TokenBackbone"
        return
    patches = backbone.grid[0] * backbone.grid[1]
    tokens = backbone.embed(images)
    if tokens.shape != (3, patches, backbone.token_dim):
        yield f"embed answered {list(tokens.shape)}, not [3, {patches}, {backbone.token_dim}]"
        return
    for kept in (patches, 1, patches // 2):
        encoded = backbone.encode(tokens[:, :kept])
        if encoded.shape != (3, backbone.prefix_tokens + kept, backbone.token_dim):
            yield f"encode of {kept} patches answered {list(encoded.shape)}"


def attention_problems(backbone: Backbone, images: Tensor) -> Problems:
    if not isinstance(backbone, TokenBackbone):
        yield "it says that it provides attention but is no sslbench.TokenBackbone"
        return
    patches = backbone.grid[0] * backbone.grid[1]
    found = backbone.attention(images)
    if found.ndim != 3 or found.shape[0] != 3 or found.shape[2] != patches:
        yield f"attention answered {list(found.shape)}, not [3, heads, {patches}]"
    elif found.min() < 0 or found.sum(dim=-1).max() > 1 + 1e-4:
        yield "its attention is no share of 1: it is negative, or sums to more"


def of_method(spec: Spec, params: Any) -> Problems:
    assert isinstance(spec, MethodSpec)
    unknown = spec.uses - {"backbone", "augmentation", "masking"}
    if unknown:
        yield f"uses {', '.join(sorted(unknown))}, which is no axis"
    ratio = 0.75 if "masking" in spec.uses else None
    torch.manual_seed(0)
    backbone: Backbone | None = TinyTokenBackbone(SIZE) if "tokens" in spec.needs else TinyBackbone()
    if "backbone" not in spec.uses:
        backbone = None
    context: dict[str, Any] = {"classes": 3} if spec.uses_labels else {}
    context |= {"download": False} if spec.fetches else {}
    method = spec.build(params, backbone=backbone, image_size=SIZE, mask_ratio=ratio, **context)
    if not isinstance(method, Method):
        yield "build must answer a sslbench.Method"
        return
    method.eval()
    with torch.no_grad():
        size = method.judged_input.size if method.judged_input else SIZE
        features = method.encoder(torch.randn(4, 3, size, size))
    if features.ndim != 2 or len(features) != 4:
        yield f"the encoder answered {list(features.shape)} for 4 images, not [4, D]"
    if "reconstruction" in spec.provided(params):
        yield from reconstruction_problems(method)
    if spec.trains:
        yield from training_problems(method, ratio, spec.uses_labels)


def reconstruction_problems(method: Method) -> Problems:
    """At every usual ratio, whatever the method was built for, visible pixels must come back as they were."""
    if method.mask_grid is None:
        yield "it says that it provides reconstruction and has no mask_grid"
        return
    rows, cols = method.mask_grid
    images = torch.randn(4, 3, SIZE, SIZE)
    for ratio in (0.25, 0.5, 0.75):
        mask = torch.rand(4, rows * cols).argsort(dim=1) < hidden_count(rows * cols, ratio)
        with torch.no_grad():
            painted = method.reconstruct(images, mask)
        if painted.shape != images.shape:
            yield f"reconstruct answered {list(painted.shape)} for {list(images.shape)}"
            return
        visible = ~mask.view(4, 1, rows, cols).repeat_interleave(SIZE // rows, 2).repeat_interleave(SIZE // cols, 3)
        if not torch.allclose(painted * visible, images * visible, atol=1e-5):
            yield f"ratio {ratio}: reconstruct changes visible pixels"


def training_problems(method: Method, ratio: float | None, uses_labels: bool = False) -> Problems:
    method.train()
    views = [torch.randn(4, 3, view.size, view.size) for view in method.views]
    if not views:
        yield "it trains but asks for no view"
        return
    mask = None
    if method.mask_grid is not None and ratio is not None:
        patches = method.mask_grid[0] * method.mask_grid[1]
        mask = torch.zeros(4, patches, dtype=torch.bool)
        mask[:, : hidden_count(patches, ratio)] = True
    progress = Progress(0, 10, 0, 1)
    given = {"labels": torch.arange(4) % 3} if uses_labels else {}
    loss, scalars = method(views, mask=mask, progress=progress, **given)
    if loss.shape != () or not math.isfinite(loss.item()):
        yield f"the loss must be one finite number, not {loss.detach()!r}"
        return
    loss.backward()
    method.after_backward(progress)
    before = [p.detach().clone() for p in method.encoder.parameters()]
    torch.optim.SGD([{"params": group["params"]} for group in method.param_groups(0.1)], lr=0.1).step()
    method.after_step(progress)
    if all(torch.equal(was, p) for was, p in zip(before, method.encoder.parameters(), strict=True)):
        yield "a step of the optimizer does not change the encoder: no gradient reaches it"
    grouped = {id(p) for group in method.param_groups(0.1) for p in group["params"]}
    missing = [name for name, p in method.named_parameters() if p.grad is not None and id(p) not in grouped]
    if missing:
        yield f"param_groups leaves out {missing[0]}"
    if any(value.requires_grad for value in scalars.values()):
        yield "logged scalars must be detached"


def of_evaluator(spec: Spec, params: Any) -> Problems:
    assert isinstance(spec, EvaluatorSpec)
    data = judged_scenes() if spec.uses_model else blobs(per_class=40)
    before = data.train.features.clone()
    weights = weights_digest(data.model.method) if data.model else ""
    metrics = list(spec.build(params).evaluate(data))
    if not metrics:
        yield "it yields no metric"
    for metric in metrics:
        if metric.value is not None and not math.isfinite(metric.value):
            yield f"{metric.name} is {metric.value}; what cannot be measured is None"
        if metric.value is None and not metric.reason:
            yield f"{metric.name} is None without a reason"
    if not torch.equal(before, data.train.features):
        yield "it changed the features, which other evaluators share"
    if data.model and weights_digest(data.model.method) != weights:
        yield "it changed the model, which other evaluators share"
    again = {metric.name: metric.value for metric in spec.build(params).evaluate(data)}
    if again != {metric.name: metric.value for metric in metrics}:
        yield "not the same for the same features and seed"
    if spec.ranked_by(params) not in again:
        yield f"its headline {spec.ranked_by(params)!r} is none of its metrics: {', '.join(again)}"
    if not spec.uses_model:
        yield from nan_problems(spec, params, data)


def nan_problems(spec: EvaluatorSpec, params: Any, data: EvaluationData) -> Problems:
    """Features that are no numbers must not become a figure."""
    broken = FeatureSet(torch.full_like(data.train.features, math.nan), data.train.labels, data.train.factors)
    for metric in spec.build(params).evaluate(EvaluationData(broken, broken, data.classes, data.seed)):
        if metric.value is not None:
            yield f"{metric.name} is {metric.value} for features that are not numbers; it must be None with a reason"


def of_dataset(spec: Spec, params: Any) -> Problems:
    assert isinstance(spec, DatasetSpec)
    if spec.fingerprint(params) != spec.fingerprint(params):
        yield "the fingerprint changes from call to call"
    dataset = spec.build(params, download=False)
    if not isinstance(dataset, Dataset):
        yield "build must answer an object with split, classes, image_size, mean and std"
        return
    for name in ("train", "test"):
        split = dataset.split(name)
        images = split.images[torch.arange(min(3, len(split)))]
        if images.dtype != torch.uint8 or images.shape[1:] != (3, dataset.image_size, dataset.image_size):
            yield f"{name}: images are {images.dtype} {list(images.shape)}, not uint8 [B, 3, S, S] of its image_size"
        provided = spec.provided(params)
        if "labels" in provided:
            labels = split.labels
            if labels is None or labels.dtype != torch.int64 or len(labels) != len(split):
                yield f"{name}: labels must be int64 [{len(split)}]"
            elif len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(dataset.classes):
                yield f"{name}: labels are not within 0..{len(dataset.classes) - 1}"
        yield from known_problems(provided, split, dataset.image_size, name)


def known_problems(provided: frozenset[str], split: Split, size: int, name: str) -> Problems:
    """Factors and maps: what the spec promises is there, and what is there has its dtype and shape."""
    promised = provided - {"labels", "factors"}
    if promised != set(split.maps):
        yield f"{name}: maps {sorted(split.maps)}, but it provides {sorted(promised)}"
    if ("factors" in provided) != bool(split.factors):
        yield f"{name}: {len(split.factors)} factors, but it provides {sorted(provided)}"
    for factor, values in split.factors.items():
        if values.shape != (len(split),) or values.dtype not in (torch.int64, torch.float32):
            given = f"{values.dtype} {list(values.shape)}"
            yield f"{name}: factor {factor!r} is {given}, not int64 or float32 [{len(split)}]"
    for title, reader in split.maps.items():
        maps = reader[torch.arange(min(3, len(split)))]
        expected = {"mask": torch.uint8, "depth": torch.float32}.get(title, maps.dtype)
        if maps.shape[1:] != (size, size) or maps.dtype != expected or len(reader) != len(split):
            yield f"{name}: map {title!r} is {maps.dtype} {list(maps.shape)}, not {expected} [B, {size}, {size}]"


def of_executor(spec: Spec, params: Any) -> Problems:
    executor = spec.build(params)
    if getattr(executor, "slots", 0) < 1 or not executor.devices():
        yield "it offers no slot or no device"
    if list(inspect.signature(executor.submit).parameters)[:2] != ["work", "emit"]:
        yield "submit must take (work, emit)"


def of_simulator(spec: Spec, params: Any) -> Problems:
    simulator = spec.build(params)
    if not isinstance(simulator, Simulator):
        yield "build must answer an object with run(seed)"
        return
    result, again = simulator.run(0), spec.build(params).run(0)
    if (result.tables, list(result.claims)) != (again.tables, list(again.claims)):
        yield "not the same for the same seed"
    if not result.tables:
        yield "answers no table"
    for name, rows in result.tables.items():
        yield from table_problems(rows, f"table {name!r}")
    for claim in result.claims:
        if not (claim.statement and claim.source and claim.expected and claim.measured):
            yield f"claim {claim.statement!r} lacks its source, what it expects or what was measured"


def table_problems(rows: Sequence[Mapping[str, Any]], where: str) -> Problems:
    """The first of each kind."""
    if len({tuple(row) for row in rows}) > 1:
        yield f"{where}: its rows do not have the same columns"
    for row in rows:
        wrong = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        if wrong:
            yield f"{where}: {wrong[0]} is {row[wrong[0]]}, not None"
            return
    if any(None in row.values() and not row.get("reason") for row in rows):
        yield f"{where}: a value is None and the row's 'reason' does not say why"


CHECKS: dict[type[Spec], Callable[[Spec, Any], Problems]] = {
    AugmentationSpec: of_augmentation,
    MaskingSpec: of_masking,
    BackboneSpec: of_backbone,
    MethodSpec: of_method,
    EvaluatorSpec: of_evaluator,
    DatasetSpec: of_dataset,
    ExecutorSpec: of_executor,
    SimulatorSpec: of_simulator,
}
