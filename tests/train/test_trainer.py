from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
import torch

from sslbench import BuildContext
from sslbench.errors import Diverged, TimeLimit, UserError
from sslbench.evaluate.features import COLLAPSED_EMBEDDINGS
from sslbench.hooks.registry import Registry
from sslbench.measure.memory import PeakMemory
from sslbench.store.record import MetricValue
from sslbench.testing.fakes import TinyBackbone, TinyDataset, TinyTokenBackbone
from sslbench.train.checkpoint import weights_digest
from sslbench.train.curve import Curve
from sslbench.train.data import make_splits
from sslbench.train.randomness import seed_everything
from sslbench.train.task import Callbacks, LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

REGISTRY = Registry()
TRAINED = [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains]

GIVEN = {"distill": {"teacher": "raw-pixels"}}


def trainer(
    name="simclr",
    seed=0,
    checkpoint=None,
    epochs=3,
    data=None,
    callbacks=None,
    given=None,
    **settings,
):
    """A trainer of a real method on a tiny backbone and 64 tiny images: 4 steps an epoch."""
    spec = REGISTRY.get("method", name)
    params = spec.params(**{**spec.presets.get("quick", {}), **GIVEN.get(name, {}), **(given or {})})
    data = data or make_splits(TinyDataset(), evaluate_on="test", train_images=None, image_size=8)
    seed_everything(seed, "init")
    backbone = TinyTokenBackbone(8, 2) if "tokens" in spec.needs else TinyBackbone()
    ratio = 0.75 if "masking" in spec.uses else None
    context = BuildContext(backbone=backbone, image_size=8, mask_ratio=ratio, classes=data.classes)
    task = TrainingTask(
        method=spec.build(params, context),
        params=params,
        masking=built("masking", "random") if ratio else None,
        mask_ratio=ratio,
        labels=spec.uses_labels,
        data=data,
        augmentation=built("augmentation", "affine"),
    )
    loop = {"epochs": epochs, "batch_size": 16, "seed": seed, "device": torch.device("cpu"), "checkpoint": checkpoint}
    return Trainer(task, LoopSettings(**loop | settings), Callbacks(**(callbacks or {})))


def built(kind, name):
    spec = REGISTRY.get(kind, name)
    return spec.build(spec.params(), BuildContext())


class Killed(Exception):
    pass


def killed_at(run, step):
    """Run until ``step`` steps are done, each with its checkpoint if it has any at all, then die."""
    if run.settings.checkpoint_every < 1:
        run.checkpoints.due = lambda: True
    train = run._train_step

    def step_or_die(images, progress):
        if progress.step == step:
            raise Killed
        train(images, progress)

    run._train_step = step_or_die
    with pytest.raises(Killed):
        run.run()


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_killed_training_continues_bit_for_bit(tmp_path, name, step):
    whole = trainer(name)
    trained = whole.run()
    path = tmp_path / "c.safetensors"
    killed_at(trainer(name, checkpoint=path, checkpoint_every=1e-9), step)
    rest = trainer(name, checkpoint=path)
    resumed = rest.run()
    assert resumed.resumed_at == step
    assert weights_digest(whole.method) == weights_digest(rest.method)
    assert resumed.final_loss == trained.final_loss
    assert (resumed.steps, len(rest.clock.step_ms)) == (12, 12)


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name):
    runs = [trainer(name, seed=seed, epochs=1) for seed in (0, 0, 1)]
    for run in runs:
        run.run()
    digests = [weights_digest(run.method) for run in runs]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss(name):
    progress = []
    # A moving target makes the loss of a small queue or a young centre rise before it falls: hold the target still.
    teacher = {"teacher_momentum": 1.0, "centring": False}
    still = {"moco": {"key_momentum": 1.0, "queue_size": 64}, "dino": teacher, "ibot": teacher}
    trainer(name, epochs=12, callbacks={"on_progress": progress.append}, given=still.get(name)).run()
    # The queue starts with random directions, which are easy to tell from a key: the first epoch is no measure.
    first, last = progress[2 if name == "moco" else 0], progress[-1]
    assert last.loss < first.loss
    assert (last.epoch, last.step, last.total_steps) == (12, 48, 48)


def test_every_epoch_is_reported_and_those_before_an_interruption_again(tmp_path):
    def evaluated():
        return {"top1": MetricValue(0.5, evaluator="knn"), "top1 (few)": MetricValue(None, evaluator="few")}

    def reported(into, **more):
        return trainer("byol", callbacks={"on_epoch": into.append, "curve": Curve(2, evaluated)}, **more)

    whole, before, after = [], [], []
    trained = reported(whole).run()
    path = tmp_path / "c.safetensors"
    killed_at(reported(before, checkpoint=path, checkpoint_every=1e-9), 9)
    reported(after, checkpoint=path).run()
    assert [(event.epoch, event.epochs) for event in whole] == [(1, 3), (2, 3), (3, 3)]
    for events in (whole, [*before, after[-1]], after):
        assert [event.loss for event in events] == list(trained.losses)
        assert [event.metrics for event in events] == [{}, *[{"knn/top1": 0.5, "few/top1": None}] * 2]
    for event in (*whole, *before, after[-1]):
        assert event.learning_rate > 0
        assert event.images_per_second > 0
        assert 0 < event.scalars["embedding_spread"] <= 1
    assert [event.learning_rate for event in after] == [None, None, whole[-1].learning_rate]
    assert after[-1].scalars == whole[-1].scalars


def test_what_it_took_is_measured():
    run = trainer()
    trained = run.run()
    assert (trained.epochs, trained.steps, trained.batch_size) == (3, 12, 16)
    assert trained.images_per_second > 0
    assert trained.step_ms_median > 0
    assert 0 <= trained.data_wait_share <= 1
    assert math.isfinite(trained.final_loss)
    assert trained.seconds >= sum(run.clock.step_ms) / 1000 * 0.9


def test_a_wait_is_all_that_lies_before_the_batch_and_a_step_all_of_both():
    run, seen = trainer(epochs=1), []
    epoch, take = run.batches.epoch, run._train_step
    for name in ("begin", "fetched", "end"):
        setattr(run.clock, name, partial(seen.append, name))
    run.batches.epoch = lambda *given: (seen.append("batch") or batch for batch in epoch(*given))
    run._train_step = lambda *given: seen.append("step") or take(*given)
    run.run()
    assert seen == ["begin", "batch", "fetched", "step", "end"] * 4


def test_views_are_made_in_ieee_arithmetic_in_every_precision():
    job, seen = trainer(epochs=1, precision="tf32"), []
    views = job.take_step.views

    def look(*args):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return views(*args)

    job.take_step = replace(job.take_step, views=look)
    job.run()
    assert set(seen) == {(False, False)}


def test_zero_epochs_train_nothing():
    trained = trainer(epochs=0).run()
    assert (trained.steps, trained.final_loss, trained.images_per_second) == (0, None, None)


def test_a_loss_that_is_not_a_number_ends_the_training():
    run = trainer(given={"lr": 1e30, "optimizer": "sgd"})
    with pytest.raises(Diverged, match="the loss was nan within epoch"):
        run.run()


def test_a_time_limit_ends_the_training():
    with pytest.raises(TimeLimit, match=r"longer than 1e-06 s \(time_limit\), at step 1 of 12"):
        trainer(time_limit=1e-6).run()


def test_a_damaged_checkpoint_is_warned_of_and_training_starts_anew(tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"not a checkpoint")
    warnings = []
    trained = trainer(checkpoint=path, callbacks={"on_warning": warnings.append}).run()
    assert trained.resumed_at is None
    assert trained.steps == 12
    assert len(warnings) == 1
    assert warnings[0].endswith(
        "c.safetensors: damaged or of an older sslbench: it has no digest; training starts anew"
    )


def test_a_damaged_checkpoint_is_never_gone_on_from(tmp_path, flipped):
    path = tmp_path / "c.safetensors"
    killed_at(trainer(checkpoint=path, checkpoint_every=1e-9), 5)
    content = path.read_bytes()
    half = len(content) // 2
    for damage in [*flipped(path), content[:half] + bytes(len(content) - half), bytes(half) + content[half:]]:
        path.write_bytes(damage)
        warnings = []
        run = trainer(checkpoint=path, callbacks={"on_warning": warnings.append})
        run._resume()
        assert run.resumed_at is None
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{path}: damaged")
        assert warnings[0].endswith("; training starts anew")
    path.write_bytes(content)
    assert trainer(checkpoint=path).run().resumed_at == 5


@pytest.mark.parametrize("other", [{"name": "byol"}, {"epochs": 1}])
def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path, other):
    path = tmp_path / "c.safetensors"
    killed_at(trainer(checkpoint=path, checkpoint_every=1e-9), 7)
    warnings = []
    trained = trainer(checkpoint=path, callbacks={"on_warning": warnings.append}, **other).run()
    assert trained.resumed_at is None
    assert warnings == [f"{path}: of another training; training starts anew"]


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    warnings = []
    callbacks = {"on_warning": warnings.append}
    trained = trainer(checkpoint=blocked / "c", checkpoint_every=1e-9, callbacks=callbacks).run()
    assert trained.steps == 12
    assert "no checkpoint written" in warnings[0]


def test_only_the_first_of_several_devices_writes_checkpoints(tmp_path, monkeypatch):
    for number, path in enumerate([tmp_path / "c", None]):
        monkeypatch.setattr("sslbench.train.trainer.rank", lambda number=number: number)
        run = trainer(checkpoint=tmp_path / "c")
        assert run.checkpoints.path == path
        run._save()
        run.checkpoints.finish()
        assert (tmp_path / "c").exists() == (number == 0)
        (tmp_path / "c").unlink(missing_ok=True)


@pytest.mark.parametrize("ending", [{}, {"time_limit": 1e-6}, {"given": {"lr": 1e30, "optimizer": "sgd"}}])
def test_no_thread_outlives_the_training(tmp_path, ending):
    run = trainer(checkpoint=tmp_path / "c", **ending)
    run.checkpoints.due = lambda: True
    with suppress(TimeLimit, Diverged):
        run.run()
    assert [thread.name for thread in threading.enumerate() if thread.name == "checkpoint"] == []
    assert [path.name for path in tmp_path.iterdir()] == ([] if "time_limit" in ending else ["c"])


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_no_temperature_overflows_in_mixed_precision(name, precision):
    # fp16 ends at 65,504: a cosine over a temperature of 1/1000 is 1,000, and its exponential beyond all bounds.
    fields = REGISTRY.get("method", name).params.model_fields
    coldest = {key: 1e-3 for key in fields if "temperature" in key}
    run = trainer(name, precision=precision, epochs=1, given=coldest)
    assert math.isfinite(run.run().final_loss)
    assert all(torch.isfinite(p).all() for p in run.method.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_method_trains_on_a_gpu(name, precision):
    run = trainer(name, epochs=2, device=torch.device("cuda"), precision=precision)
    trained = run.run()
    assert math.isfinite(trained.final_loss)
    assert len(run.clock.step_ms) == trained.steps == 8
    assert trained.peak_memory_bytes > 0


def test_a_batch_in_parts_gives_the_step_of_the_whole():
    """MAE's loss is a mean over images, and nothing in it looks across them."""
    # Adam would turn rounding of a gradient near zero into a whole step.
    plain = {"optimizer": "sgd", "lr": 0.1}
    whole = trainer("mae", epochs=1, given=plain)
    parts = trainer("mae", epochs=1, given=plain, accumulate=4)
    results = [run.run() for run in (whole, parts)]
    assert results[0].final_loss == pytest.approx(results[1].final_loss, rel=1e-5)
    for a, b in zip(whole.method.parameters(), parts.method.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("parts", "words"),
    [(3, "accumulate = 3: a batch of 16 cannot be cut into 3 equal parts"), (16, "batch of 1: batch norm needs at")],
)
def test_parts_that_cannot_be_are_refused_before_the_first_step(parts, words):
    with pytest.raises(UserError, match=words):
        trainer("simclr", accumulate=parts)


def test_a_schedule_per_epoch_holds_its_rate_within_one():
    run = trainer("moco", given={"schedule": "epoch", "warmup_epochs": 0, "lr_end": 1e-4}, epochs=4)
    rates, train = [], run._train_step

    def noted(batch, progress):
        train(batch, progress)
        rates.append(run.update.optimizer.param_groups[0]["lr"])

    run._train_step = noted
    run.run()
    peak = run.update.optimizer.param_groups[0]["peak_lr"]
    expected = [1e-4 + (peak - 1e-4) * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4) for _ in range(4)]
    assert rates == pytest.approx(expected)


def test_weight_decay_falls_along_its_cosine():
    run = trainer("dino", given={"weight_decay": 0.04, "weight_decay_end": 0.4}, epochs=2)
    run.run()
    last = 0.4 + (0.04 - 0.4) * (1 + math.cos(math.pi * 7 / 8)) / 2
    assert [g["weight_decay"] for g in run.update.optimizer.param_groups] == pytest.approx([last, 0.0])


def test_a_weight_decay_cannot_rise_from_nothing():
    with pytest.raises(
        UserError, match=r"weight_decay_end = 0\.4 needs a weight_decay above 0, where its cosine starts"
    ):
        trainer("dino", given={"weight_decay": 0, "weight_decay_end": 0.4})


@pytest.mark.parametrize(
    ("name", "online", "ema", "momentum"),
    [
        ("moco", "backbone", "key_backbone", "key_momentum"),
        ("byol", "backbone", "target_backbone", "target_momentum"),
        ("dino", "backbone", "teacher_backbone", "teacher_momentum"),
    ],
)
def test_a_moving_average_takes_the_weights_after_the_optimizers_step(name, online, ema, momentum):
    run = trainer(name, given={momentum: 0.5, **({} if name == "moco" else {f"{momentum}_end": 0.5})}, epochs=1)
    before = [p.clone() for p in getattr(run.method, ema).parameters()]
    killed_at(run, 1)
    after, target = (list(getattr(run.method, part).parameters()) for part in (online, ema))
    assert not torch.equal(before[0], after[0]), "the first step moves the network"
    for was, now, new in zip(before, target, after, strict=True):
        assert torch.allclose(now, (was + new) / 2, atol=1e-7)


def test_a_method_that_trains_on_labels_needs_some():
    data = make_splits(TinyDataset(), evaluate_on="test", train_images=None, image_size=8)
    bare = replace(data, train=replace(data.train, labels=None))
    with pytest.raises(UserError, match="the method trains on labels, and the training split has none"):
        trainer("supervised", data=bare)


def test_byol_collapses_without_what_keeps_it_from_it_and_not_with_it():
    """Grill et al. 2020, table 5: predictor and stop-gradient both gone."""
    nothing = {"predictor": False, "stop_gradient": False}
    spreads = [
        trainer("byol", given={"lr": 1e-2, **given}, epochs=40).run().scalars["embedding_spread"]
        for given in (nothing, {})
    ]
    assert spreads[0] < COLLAPSED_EMBEDDINGS < 0.2 < spreads[1], spreads


def with_curve(run, every=1, asked=None):
    """Give a trainer a curve that uses the method and draws random numbers, as an evaluator may."""

    def evaluate():
        run.method.eval()
        images = run.task.data.train.images[:16].float() / 255
        with torch.no_grad():
            features = run.method.encoder(images) + 0 * torch.rand(1)
        return {"m": MetricValue(float(features.double().sum()))}

    run.curve = Curve(every, evaluate, asked or {"every": every})
    return run.curve


@pytest.mark.parametrize("name", TRAINED)
def test_a_curve_changes_nothing_of_the_training(name):
    plain, watched = trainer(name), trainer(name)
    curve = with_curve(watched)
    before, after = plain.run(), watched.run()
    assert weights_digest(plain.method) == weights_digest(watched.method)
    assert (before.losses, before.final_loss, before.scalars) == (after.losses, after.final_loss, after.scalars)
    assert [module.training for module in plain.method.modules()] == [m.training for m in watched.method.modules()]
    assert [(point.epoch, point.loss) for point in curve.points] == list(enumerate(after.losses, 1))
    assert len({point.metrics["m"].value for point in curve.points}) > 1


@pytest.mark.parametrize("step", [3, 4, 5, 8, 11])
@pytest.mark.parametrize("checkpoint_every", [1e-9, 1e9])
def test_a_curve_survives_a_kill(tmp_path, step, checkpoint_every):
    whole = trainer()
    expected = with_curve(whole)
    trained = whole.run()
    path = tmp_path / "c.safetensors"
    killed = trainer(checkpoint=path, checkpoint_every=checkpoint_every)
    with_curve(killed)
    killed_at(killed, step)
    rest = trainer(checkpoint=path)
    curve = with_curve(rest)
    resumed = rest.run()
    assert resumed.resumed_at == (step if checkpoint_every < 1 else None)
    assert curve.points == expected.points
    assert resumed.losses == trained.losses
    assert weights_digest(whole.method) == weights_digest(rest.method)


@pytest.mark.parametrize("kept", [None, {"every": 2}])
def test_a_checkpoint_without_the_curve_is_not_continued(tmp_path, kept):
    path, warnings = tmp_path / "c.safetensors", []
    killed = trainer(checkpoint=path, checkpoint_every=1e-9)
    if kept:
        with_curve(killed, 2, kept)
    killed_at(killed, 9)
    run = trainer(checkpoint=path, callbacks={"on_warning": warnings.append})
    curve = with_curve(run)
    assert run.run().resumed_at is None
    assert [point.epoch for point in curve.points] == [1, 2, 3]
    assert warnings == ["the checkpoint is of a training without this curve; training starts anew"]


def test_a_checkpoint_with_a_curve_is_continued_without_one(tmp_path):
    path = tmp_path / "c.safetensors"
    killed = trainer(checkpoint=path, checkpoint_every=1e-9)
    with_curve(killed)
    killed_at(killed, 9)
    rest = trainer(checkpoint=path)
    assert rest.run().resumed_at == 9


def test_evaluation_is_neither_time_nor_memory_of_the_training():
    run = trainer()
    resident = PeakMemory(torch.device("cpu")).bytes()
    held = []

    def slow():
        held[:] = [torch.ones(100_000_000)]  # 400 MB
        held.clear()
        time.sleep(0.1)
        return {}

    run.curve = Curve(1, slow)
    begin = time.perf_counter()
    trained = run.run()
    assert run.curve.seconds >= 0.3
    assert trained.seconds <= time.perf_counter() - begin - 0.3
    assert sum(run.clock.step_ms) / 1000 <= trained.seconds
    assert resident is None or trained.peak_memory_bytes < resident + 200_000_000


def test_dino_collapses_onto_one_prototype_without_centring_and_not_with_it():
    """Caron et al. 2021, section 5.3: sharpening alone lets one dimension win."""
    spreads = [
        trainer("dino", given={"local_crops": 0, "lr": 5e-3, **given}, epochs=40).run().scalars["embedding_spread"]
        for given in ({"centring": False}, {})
    ]
    assert spreads[0] < COLLAPSED_EMBEDDINGS < 0.2 < spreads[1], spreads


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 15}, "devices = 2: a batch of 15 has no equal share for each"),
        ({"batch_size": 18, "accumulate": 3}, None),
        ({"batch_size": 18, "accumulate": 9}, None),
        (
            {"batch_size": 20, "accumulate": 4},
            "devices = 2: a batch of 20 has no equal share for each, in 4 parts each (accumulate)",
        ),
    ],
)
def test_a_batch_that_devices_cannot_share_is_refused(monkeypatch, settings, message):
    """Also where the data set has fewer images than the batch size."""
    monkeypatch.setattr("sslbench.train.trainer.ranks", lambda: 2)
    if message is None:
        assert trainer(**settings).batches.batch_size == 18
        return
    with pytest.raises(UserError) as refused:
        trainer(**settings)
    assert str(refused.value) == message
