"""Training by a captured step, on a stand-in for CUDA graphs: it must be the training that it would be without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sslbench.contracts.method import Progress
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.graph_stand_in import RecordedOperations
from sslbench.train import graph, graph_rates, trainer
from tests.train.test_trainer import TRAINED, killed_at, trainer as build

CPU = torch.device("cpu")
SCHEDULES = {
    "weight_decay": 0.1,
    "weight_decay_end": 0.9,
    "freeze_prototypes": 1,
    "clip": 0.1,
    "teacher_warmup_epochs": 2,
    "teacher_temperature_start": 0.02,
}
CASES = [
    *((name, {}, {}) for name in TRAINED),
    ("dino", {**SCHEDULES, "drop_path": 0.3}, {}),
    ("ibot", SCHEDULES, {}),
    ("dinov2", {**SCHEDULES, "layer_decay": 0.9}, {}),
    ("swav", {"freeze_prototypes": 5, "queue_size": 32, "queue_start": 1}, {}),
    ("moco", {"optimizer": "sgd", "split_bn": 2, "symmetric": True, "schedule": "epoch"}, {}),
    ("ijepa", {"weight_decay_end": 0.9}, {}),
    ("mae", {}, {"accumulate": 4}),
    ("moco", {}, {"accumulate": 2}),
    ("simclr", {}, {"precision": "bf16"}),
]


@pytest.fixture
def recorders(monkeypatch):
    """The stand-ins that trainers made. Rates keep all digits, so that the numbers are those of steps without graph."""
    made = []

    def recorder(device):
        made.append(RecordedOperations())
        return made[-1]

    monkeypatch.setattr(trainer, "CudaRecorder", recorder)
    monkeypatch.setattr(graph_rates, "RATES", torch.float64)
    return made


def trained(name, given=None, **settings):
    run = build(name, given=given, **settings)
    return run.run(), run


def state_of(run):
    """Weights, buffers and the optimizer's state."""
    optimizer = run.update.optimizer.state_dict()
    slots = {f"{n}/{slot}": value for n, slots in optimizer["state"].items() for slot, value in slots.items()}
    return {**run.method.state_dict(), **slots}


def same(ours, others, **tolerance):
    assert ours.keys() == others.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, others[name], **{"rtol": 0, "atol": 0, **tolerance})


@pytest.mark.parametrize(("name", "given", "settings"), CASES)
def test_a_captured_training_is_the_same_bit_for_bit(recorders, name, given, settings):
    """Over three epochs: steps before the capture; schedules of rate, decay, momentum, temperature; frozen layers."""
    expected, eager = trained(name, given, **settings)
    facts, captured = trained(name, given, cuda_graphs=True, **settings)
    assert facts.losses == expected.losses
    assert facts.scalars == expected.scalars
    same(state_of(captured), state_of(eager))
    (recorder,) = recorders
    frozen = {"dino", "ibot", "dinov2", "swav"} if given else set()
    assert len(recorder.lengths) == (2 if name in frozen else 1)


@pytest.mark.parametrize("optimizer", ["lars", "sgd"])
def test_kernels_that_take_their_rate_from_a_tensor_round_once_more(recorders, optimizer):
    """LARS multiplies before it subtracts; SGD has other kernels on a CPU, where without graphs it takes none for many
    tensors at once."""
    given = {"optimizer": optimizer, "weight_decay": 1e-3, "weight_decay_end": 1e-1}
    expected, eager = trained("byol", given)
    facts, captured = trained("byol", given, cuda_graphs=True)
    assert facts.losses == pytest.approx(expected.losses, rel=1e-6)
    same(state_of(captured), state_of(eager), atol=1e-6)


@pytest.mark.parametrize("step", [1, 5])
def test_it_resumes_where_it_was_killed(recorders, tmp_path, step):
    _, whole = trained("dino", SCHEDULES)
    path = tmp_path / "c.safetensors"
    settings = {"given": SCHEDULES, "cuda_graphs": True, "checkpoint": path}
    killed_at(build("dino", **settings, checkpoint_every=1e-9), step)
    rest = build("dino", **settings)
    assert rest.run().resumed_at == step
    same(state_of(rest), state_of(whole))


def changed(name, monkeypatch, *, device=CPU, epochs=3, **hooks):
    """A training by captured steps of a method with other hooks."""
    run = build(name, cuda_graphs=True, device=device, epochs=epochs)
    for hook, function in hooks.items():
        monkeypatch.setattr(type(run.method), hook, function)
    return run


@pytest.mark.parametrize("attribute", ["step", "fraction"])
@pytest.mark.parametrize("hook", ["after_backward", "after_step"])
def test_what_changes_at_every_step_is_not_frozen_in_silence(recorders, monkeypatch, hook, attribute):
    run = changed("simclr", monkeypatch, **{hook: lambda method, progress: getattr(progress, attribute)})
    words = f"cuda_graphs: SimCLR reads progress.{attribute}, which changes at every step; allowed: progress.scheduled"
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        run.run()


def test_a_step_is_captured_anew_in_every_epoch_that_a_method_reads(recorders, monkeypatch):
    epochs = []
    run = changed("simclr", monkeypatch, after_step=lambda method, progress: epochs.append(progress.epoch))
    run.run()
    # Of four steps an epoch three come before the first capture, one before each other; a replay runs no Python.
    assert epochs == [0, 0, 0, 0, 1, 1, 2, 2]
    assert len(recorders[0].lengths) == 3


def test_decisions_are_compared_by_their_outcome(recorders, monkeypatch):
    taken = []

    def after_step(method, progress):
        taken.append(progress.decision(lambda at: at.step >= 6))

    changed("simclr", monkeypatch, after_step=after_step).run()
    assert taken == [False] * 4 + [True] * 2


def test_a_method_that_counts_in_python_is_refused(recorders, monkeypatch):
    def after_step(method, progress):
        method.calls = getattr(method, "calls", 0) + 1

    run = changed("simclr", monkeypatch, after_step=after_step)
    with pytest.raises(UserError, match=r"a step of SimCLR leaves another calls behind, which a graph would not"):
        run.run()


def test_a_method_that_replaces_a_buffer_is_refused(recorders, monkeypatch):
    def after_step(method, progress):
        method.given = method.given.clone()

    run = changed("distill", monkeypatch, after_step=after_step)
    with pytest.raises(UserError, match=r"a step of Distill leaves another _buffers\.given behind"):
        run.run()


WAITING = {
    "item": lambda weights: weights.sum().item(),
    "bool": lambda weights: bool((weights > 0).all()),
    "equal": lambda weights: torch.equal(weights, weights + 1),
    "nonzero": lambda weights: weights.nonzero(),
    "unique": lambda weights: weights.unique(),
    "masked_select": lambda weights: weights.masked_select(weights > 0),
    "a mask as an index": lambda weights: weights[weights > 0],
    "numbers of repeats": lambda weights: weights.repeat_interleave(torch.ones(len(weights), dtype=torch.int64), dim=0),
}


@pytest.mark.parametrize("what", WAITING)
def test_what_waits_for_the_device_is_refused_in_one_line(recorders, monkeypatch, what):
    @torch.no_grad()
    def after_backward(method, progress):
        WAITING[what](next(method.parameters()))

    run = changed("simclr", monkeypatch, after_backward=after_backward)
    with pytest.raises(UserError) as refused:
        run.run()
    message = "cuda_graphs: a step of SimCLR cannot be captured: operation not permitted when stream is capturing"
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_a_generator_of_its_own_is_refused(recorders, monkeypatch):
    def after_step(method, progress):
        torch.rand(2, generator=torch.Generator().manual_seed(0))

    with pytest.raises(UserError, match="cannot be captured: rand.generator draws from a generator that"):
        changed("simclr", monkeypatch, after_step=after_step).run()


def test_memory_that_ran_out_is_no_fault_of_the_method(recorders, monkeypatch):
    def record(recorder, function, generators):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(RecordedOperations, "record", record)
    with pytest.raises(torch.OutOfMemoryError):
        build("simclr", cuda_graphs=True).run()


def test_masks_whose_sizes_come_of_the_seed_are_refused(recorders):
    run = build("ijepa", cuda_graphs=True)
    spec = Registry().get("masking", "multi-block")
    object.__setattr__(run.task, "masking", spec.build(spec.params(), None))
    with pytest.raises(UserError, match="takes the seed of its generator, as multi-block does"):
        run.run()


class Recorder(RecordedOperations):
    """Counts replays."""

    def __init__(self):
        super().__init__()
        self.replays = 0

    def record(self, function, generators):
        replay, result = super().record(function, generators)

        def counted():
            self.replays += 1
            replay()

        return counted, result


class Counting:
    """A step that counts, on the device, how often it was taken, and adds up what it was given."""

    streams = ()

    def __init__(self, update):
        self.update = update
        self.count, self.total = torch.zeros(()), torch.zeros(())

    def prepare(self, progress):
        pass

    def compute(self, inputs, labels, progress):
        self.count += 1
        self.total += inputs[0].sum() + labels.sum()
        return self.total * 1


def test_no_step_is_lost_or_taken_twice_and_no_loss_is_overwritten():
    step, recorder = Counting(build("simclr").update), Recorder()
    graphed = graph.GraphedStep(step, recorder)
    losses = [graphed([torch.tensor([float(n)])], torch.tensor([1.0]), Progress(n, 10, 0, 1)) for n in range(10)]
    assert step.count == 10
    assert recorder.replays == 10 - graph.WARMUP
    assert [loss.item() for loss in losses] == [sum(range(n + 1)) + n + 1 for n in range(10)]


def test_inputs_that_are_always_the_same_tensors_are_not_copied():
    step, given = Counting(build("simclr").update), [torch.ones(1)]
    graphed = graph.GraphedStep(step, Recorder(), given, torch.ones(1))
    graphed(given, graphed._labels, Progress(0, 10, 0, 1))
    assert graphed._inputs[0] is given[0]


def test_what_is_recorded_has_no_effect_until_it_is_repeated():
    norm, image = nn.BatchNorm1d(3), torch.randn(4, 3)
    generator = torch.Generator().manual_seed(1)

    def work():
        norm(image)
        return torch.rand(2, generator=generator)

    replay, drawn = RecordedOperations().record(work, [generator])
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.tolist() == [0, 0, 0]
    replay()
    assert norm.num_batches_tracked == 1
    assert norm.running_mean.any()
    assert torch.equal(drawn, torch.rand(2, generator=torch.Generator().manual_seed(1)))
    generator.manual_seed(2)
    replay()
    assert torch.equal(drawn, torch.rand(2, generator=torch.Generator().manual_seed(2)))


def test_seeding_while_a_step_is_recorded_is_refused():
    with pytest.raises(RuntimeError, match="a generator is seeded while"):
        RecordedOperations().record(lambda: torch.manual_seed(torch.initial_seed() + 1) and torch.ones(()), [])
