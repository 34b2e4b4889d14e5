from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sslbench import BuildContext, masked_count
from sslbench.contracts.method import Progress
from sslbench.errors import TimingError, UserError
from sslbench.hooks.registry import Registry
from sslbench.measure.precision import fastest_convolutions
from sslbench.measure.timing import measure_steps
from sslbench.speed import steps
from sslbench.speed.steps import end_to_end, progress_at, synthetic_step
from sslbench.testing.fakes import TinyBackbone, TinyDataset, TinyTokenBackbone
from sslbench.train import step
from sslbench.train.randomness import seed_everything
from sslbench.train.step import TrainingStep
from sslbench.train.task import LoopSettings, StepTask
from sslbench.train.views import TrainingViews

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains]
GIVEN = {"distill": {"teacher": "raw-pixels"}}
CPU = torch.device("cpu")


def ready(name, batch=16, ratio=0.75, **settings):
    """A real method's step on a tiny backbone and synthetic views of 8 px."""
    spec = REGISTRY.get("method", name)
    params = spec.params(**{**spec.presets.get("quick", {}), **GIVEN.get(name, {})})
    seed_everything(0, "init")
    backbone = TinyTokenBackbone(8, 2) if "tokens" in spec.needs else TinyBackbone()
    ratio = ratio if "masking" in spec.uses else None
    method = spec.build(params, BuildContext(backbone=backbone, image_size=8, mask_ratio=ratio, classes=10))
    masking = REGISTRY.get("masking", "random")
    task = StepTask(
        method=method,
        params=params,
        masking=masking.build(masking.params(), BuildContext()) if ratio else None,
        mask_ratio=ratio,
        labels=spec.uses_labels,
    )
    return synthetic_step(task, LoopSettings(epochs=100, batch_size=batch, seed=0, device=CPU, **settings))


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_has_a_step_that_can_be_timed(name):
    synthetic = ready(name)
    arm = synthetic.arm()
    timing = measure_steps(arm.step, device=CPU, images=arm.images, parameters=arm.parameters, steps=3, warmup=2)
    assert timing.images == 16
    assert timing.final_loss == timing.final_loss


def test_the_same_views_serve_every_step():
    synthetic = ready("simclr")
    before = [view.clone() for view in synthetic.views]
    synthetic.arm().step()
    assert [torch.equal(a, b) for a, b in zip(before, synthetic.views, strict=True)] == [True, True]
    assert [tuple(view.shape) for view in synthetic.views] == [(16, 3, 8, 8)] * 2


def test_a_batch_that_the_method_cannot_work_with_is_refused():
    with pytest.raises(UserError, match="batch norm needs at least 2 images"):
        ready("simclr", batch=1)


@pytest.mark.parametrize(("precision", "rounds"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_a_step_computes_in_the_arithmetic_that_it_is_asked_for_and_leaves_torchs(precision, rounds):
    """What is seen in the forward and in the backward pass: the switches of products and of convolutions."""
    seen = []

    def look(*_):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    synthetic = ready("simclr", precision=precision)
    layer = next(module for module in synthetic.method.modules() if isinstance(module, torch.nn.Linear))
    layer.register_forward_hook(look)
    layer.weight.register_hook(look)
    synthetic.arm().step()
    assert set(seen) == {(rounds, rounds)}
    assert len(seen) == 2
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_cudnn_tries_its_algorithms_in_the_steps_of_a_gpu_alone(monkeypatch):
    synthetic = ready("simclr")
    tried = []
    synthetic.method.register_forward_hook(lambda *_: tried.append(torch.backends.cudnn.benchmark))
    synthetic.arm().step()
    monkeypatch.setattr(step, "fastest_convolutions", lambda device: fastest_convolutions(torch.device("cuda")))
    synthetic.arm().step()
    assert tried == [False, True]
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("name", ["mae", "ibot"])
def test_parts_of_a_batch_give_the_gradient_of_the_batch(name):
    taken = {}
    for parts in (1, 4):
        synthetic = ready(name, accumulate=parts)
        synthetic.method.norm_pix = False  # of MAE
        synthetic.update(synthetic.views, None, Progress(500, 1000, 0, 100))
        taken[parts] = [p.grad.clone() for p in synthetic.method.parameters() if p.grad is not None]
    for whole, summed in zip(*taken.values(), strict=True):
        torch.testing.assert_close(whole, summed, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["ibot", "dinov2"])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_heads_get_masked_patches_alone_and_of_a_part_as_many_as_it_can_have(name, parts, monkeypatch):
    synthetic, found = ready(name, ratio=0.3, accumulate=parts), []
    made = synthetic.method.masked
    monkeypatch.setattr(synthetic.method, "masked", lambda masks: found.append(made(masks)) or found[-1])
    for number in range(5):
        synthetic.update(synthetic.views, None, progress_at(number))
    # Of 2 x 16 crops 2 x 8 are masked, at ratios from .125 to .475: 3 to 9 of 16 patches.
    counts = sorted((masked_count(16, 0.3 + 0.025 * level) for level in range(-7, 8, 2)), reverse=True)
    assert {len(each.chosen) for each in found} == {2 * sum(counts[: 16 // parts])}
    masked = torch.stack([(each.weights > 0).sum() for each in found])
    assert torch.equal(masked, torch.stack([each.mask.sum() for each in found]))
    assert masked.view(5, parts).sum(dim=1).tolist() == [2 * sum(counts)] * 5


def test_a_method_without_masks_gets_none():
    synthetic = ready("simclr")
    assert synthetic.update.masks(4) == []
    (mask,) = ready("mae").update.masks(4)
    assert mask.shape == (4, 16)
    assert mask.sum(1).tolist() == [12] * 4


def test_compiling_is_done_by_torch(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda forward: compiled.append(forward) or forward)
    assert not ready("simclr").arm().compiled
    assert ready("simclr", compile=True).arm().compiled
    assert len(compiled) == 1


def augmentation():
    spec = REGISTRY.get("augmentation", "affine")
    return spec.build(spec.params(), BuildContext())


def test_end_to_end_trains_on_the_images_of_a_data_set():
    synthetic = ready("simclr")
    before = [p.detach().clone() for p in synthetic.method.parameters()]
    measured = end_to_end(synthetic, TinyDataset(), augmentation(), steps=12)
    assert len(measured.step_ms) == 12
    assert measured.times.images_per_second > 0
    assert 0 <= measured.times.data_wait_share <= 1
    assert any(not torch.equal(a, b) for a, b in zip(before, synthetic.method.parameters(), strict=True))


def test_end_to_end_views_are_made_in_ieee_arithmetic():
    seen = []

    class Looks:
        def view(self, *asked):
            transform = augmentation().view(*asked)

            def look(*given):
                seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
                return transform(*given)

            return look

    end_to_end(ready("simclr", precision="tf32"), TinyDataset(), Looks(), steps=2)
    assert set(seen) == {(False, False)}


@pytest.mark.parametrize("asked", [False, True])
def test_end_to_end_views_are_compiled_where_the_step_is(monkeypatch, asked):
    given = []

    def views(augmentation, requests, normalise, compiled):
        given.append(compiled)
        return TrainingViews(augmentation, requests, normalise)

    monkeypatch.setattr(steps, "TrainingViews", views)
    synthetic = ready("simclr")
    synthetic.update.settings = replace(synthetic.update.settings, compile=asked)
    end_to_end(synthetic, TinyDataset(), augmentation(), steps=1)
    assert given == [asked]


def test_end_to_end_goes_through_labels_and_epochs():
    measured = end_to_end(ready("supervised"), TinyDataset(train_images=32), augmentation(), steps=11)
    assert len(measured.step_ms) == 11


def test_end_to_end_ends_with_its_budget():
    assert len(end_to_end(ready("simclr"), TinyDataset(), augmentation(), steps=500, seconds=0.0).step_ms) == 10


def test_a_data_set_smaller_than_the_batch_has_another_speed():
    with pytest.raises(TimingError, match="the training split has 8 images, fewer than a batch"):
        end_to_end(ready("simclr"), TinyDataset(train_images=8), augmentation(), steps=2)


def test_the_step_is_the_one_that_trainings_take():
    from sslbench.train import trainer

    assert trainer.TrainingStep is TrainingStep


@pytest.fixture
def graphs(monkeypatch):
    """Runs what torch would compile as it is: for each of its graphs the number of sizes that it leaves open."""
    open_sizes = []
    compile_ = torch.compile

    def backend(graph, inputs):
        open_sizes.append(sum(isinstance(value, torch.SymInt) for value in inputs))
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function: compile_(function, backend=backend))
    return open_sizes


@pytest.mark.slow
def test_every_compiled_method_is_compiled_for_itself(graphs):
    """Torch keeps eight variants of a function, and runs the ninth without compiling."""
    kept = []
    for number in range(10):
        kept.append(ready("simclr", batch=4 + number, compile=True))
        before = len(graphs)
        for _ in range(2):
            kept[-1].arm().step()
        assert len(graphs) - before >= 1, f"method {number} was not compiled"
    assert set(graphs) == {0}, "for the sizes it has, whatever was compiled before"


@pytest.mark.parametrize("name", ["mae", "ibot", "dinov2"])
def test_a_compiled_method_is_one_graph_and_trains_as_a_plain_one(graphs, name):
    losses = []
    for compile_ in (False, True):
        synthetic = ready(name, compile=compile_)
        step = synthetic.arm().step
        losses.append([float(step()) for _ in range(2)])
    # DINOv2's temperature rises with every step: from the second on torch takes one graph for all of them.
    assert len(graphs) == (2 if name == "dinov2" else 1)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
