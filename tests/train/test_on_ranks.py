"""Two ranks on half of each batch train as one on whole batches, go on bit for bit, and end together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sslbench.train import ranks
from sslbench.train.checkpoint import load_tensors
from sslbench.train.data import Batches
from sslbench.train.ranks import buckets, own, own_run, own_share

SCRIPT = Path(__file__).with_name("on_ranks.py")
TOLERANCE = 2e-5
EXACT = ["sgd", "adamw", "lars", "lars outside", "accumulate", "accumulate labels"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What one process leaves, and what two leave together."""
    folder = tmp_path_factory.mktemp("ranks")
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), rank, count, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, count in ("01", "02", "12")
    ]
    for process in running:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    return folder


@pytest.fixture(scope="module")
def tensors(folder):
    """Of one process, and of each of two."""
    return [load_file(folder / f"{name}.safetensors") for name in ("1-0", "2-0", "2-1")]


@pytest.fixture(scope="module")
def facts(folder):
    """Of each of two ranks."""
    return [json.loads((folder / f"2-{rank}.json").read_text()) for rank in range(2)]


def of(name, tensors):
    return {key.partition(":")[2]: value for key, value in tensors.items() if key.startswith(f"{name}:")}


def off_by(value, expected):
    return float((value - expected).norm() / expected.norm().clamp(min=0.05))


@pytest.mark.parametrize("name", EXACT)
def test_three_steps_have_the_losses_of_one_process(name, tensors):
    alone, first, second = (of(name, of_rank) for of_rank in tensors)
    losses = [key for key in alone if key.startswith("loss/")]
    assert len(losses) == 3
    assert len({alone[key].item() for key in losses}) == 3, "the optimizer moves"
    for key in losses:
        assert off_by(first[key], alone[key]) < TOLERANCE
        assert torch.equal(first[key], second[key])


@pytest.mark.parametrize("name", ["sgd", "lars", "lars outside", "accumulate", "accumulate labels"])
def test_the_state_after_a_step_is_that_of_one_process(name, tensors):
    # AdamW would take whole steps along a gradient that is rounding alone, as that of the bias below a batch norm is.
    alone, first, _ = (of(name, of_rank) for of_rank in tensors)
    state = {key for key in alone if key.startswith("state/") and alone[key].is_floating_point()}
    for key in state - {"state/backbone.net.0.bias"}:
        assert off_by(first[key], alone[key]) < 5e-5, key


@pytest.mark.parametrize("name", [*EXACT, "bf16"])
def test_all_state_is_the_same_on_both_ranks(name, tensors):
    _, first, second = (of(name, of_rank) for of_rank in tensors)
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_bf16_agrees_within_its_rounding(tensors):
    alone, first, _ = (of("bf16", of_rank) for of_rank in tensors)
    for key in ("loss/0", "loss/1", "loss/2"):
        assert off_by(first[key], alone[key]) < 2**-7


def test_features_are_those_of_one_process_bit_for_bit_on_rank_0(tensors):
    alone, first, second = (of("features", of_rank) for of_rank in tensors)
    assert {name: len(values) for name, values in alone.items()} == {"train": 70, "test": 33}
    assert all(torch.equal(first[name], alone[name]) for name in alone)
    # Five batches of training images and three of test images: the second rank had the last two and the last one.
    assert torch.equal(second["train"], alone["train"][48:])
    assert torch.equal(second["test"], alone["test"][32:])


def test_a_gradient_that_one_rank_lacks_counts_as_zeros_and_one_that_all_lack_stays_away(facts):
    assert facts[0]["missing"] == facts[1]["missing"] == [[[1.5, 1.5]], [[0.5, 0.5]], None]


def test_state_that_differs_between_ranks_is_named(facts):
    expected = (
        "PluginError: 'running_mean' of the method is not the same on all 2 devices after a step;"
        " it must come from all of them (sslbench.gathered, sslbench.mean_over_ranks)"
    )
    assert [of_rank["out of step"] for of_rank in facts] == [expected, expected]


def test_a_curve_is_evaluated_by_rank_0_as_if_it_were_alone(facts):
    assert [of_rank["curve"]["evaluated on"] for of_rank in facts] == [[1, 1, 1], []]
    assert facts[0]["curve"]["losses"] == facts[1]["curve"]["losses"]


def test_a_loss_that_diverges_on_one_rank_ends_all_of_them(facts):
    expected = "Diverged: the loss was nan within epoch 2, before step 3"
    assert [of_rank["diverging"] for of_rank in facts] == [expected, expected]


def test_the_clock_of_rank_0_ends_all_of_them(facts):
    expected = "TimeLimit: training took longer than 7 s (time_limit), at step 4 of 6"
    assert [of_rank["late"] for of_rank in facts] == [expected, expected]


def test_a_checkpoint_of_another_number_of_devices_is_not_continued(facts):
    warned = ["one.checkpoint: of a training on 1 devices, not 2; training starts anew"]
    assert [of_rank["other checkpoint"] for of_rank in facts] == [{"warned": warned, "resumed_at": None}] * 2


@pytest.mark.parametrize("name", ["simclr", "moco"])
def test_killed_and_resumed_ranks_end_bit_for_bit_as_undisturbed_ones(name, folder):
    for rank in range(2):
        (whole, of_whole), (rest, of_rest) = (load_tensors(folder / f"{name}.{p}.{rank}") for p in ("whole", "rest"))
        assert (of_whole["resumed_at"], of_rest["resumed_at"]) == (None, 3)
        assert whole.keys() == rest.keys()
        assert [key for key, value in whole.items() if not torch.equal(value, rest[key])] == []
        assert of_whole["inputs"][3:] == of_rest["inputs"]
        for fact in ("param_groups", "optimizer_numbers", "final_loss", "scalars"):
            assert of_whole[fact] == of_rest[fact]


def test_each_rank_has_views_of_its_own_and_the_weights_of_all(folder):
    (first, of_first), (second, of_second) = (load_tensors(folder / f"simclr.whole.{rank}") for rank in range(2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert set(of_first["inputs"]).isdisjoint(of_second["inputs"])


@pytest.fixture
def as_rank(monkeypatch):
    """Pretend to be one of several ranks, for what exchanges nothing."""

    def pretend(number, count):
        monkeypatch.setattr(ranks, "ranks", lambda: count)
        monkeypatch.setattr(ranks, "rank", lambda: number)

    return pretend


@pytest.mark.parametrize("parts", [1, 2])
def test_a_part_of_a_batch_has_the_same_images_on_however_many_ranks(as_rank, parts):
    rows = torch.arange(24)
    shares = []
    for number in range(3):
        as_rank(number, 3)
        shares.append(own_share(rows, parts).chunk(parts))
    for part in range(parts):
        assert torch.equal(torch.cat([share[part] for share in shares]), rows.chunk(parts)[part])


def test_batches_of_all_ranks_are_the_batches_of_one(as_rank):
    from sslbench.testing.fakes import TinyDataset

    split, device = TinyDataset(40).split("train"), torch.device("cpu")
    whole = list(Batches(split, 12, 0, device, labels=True).epoch(1))
    shares = []
    for number in range(2):
        as_rank(number, 2)
        batches = Batches(split, 12, 0, device, labels=True)
        assert (batches.batch_size, batches.steps_per_epoch) == (12, 3)
        shares.append(list(batches.epoch(1)))
    assert len(whole) == 3
    for batch, first, second in zip(whole, *shares, strict=True):
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))
        assert torch.equal(batch.labels, torch.cat([first.labels, second.labels]))


@pytest.mark.parametrize(("count", "number"), [(0, 2), (1, 2), (1, 3), (5, 2), (6, 4), (7, 3)])
def test_runs_of_all_ranks_are_everything_in_order_and_rank_0_has_the_first(as_rank, count, number):
    runs = []
    for index in range(number):
        as_rank(index, number)
        runs.append(list(own_run(count)))
    assert [item for run in runs for item in run] == list(range(count))
    assert bool(runs[0]) == bool(count)


def test_rank_0_draws_what_one_process_draws(as_rank):
    assert own("views") == "views"
    as_rank(0, 2)
    assert own("views") == "views"
    as_rank(1, 2)
    assert own("views") == "views/1"


def test_gradients_are_averaged_in_buckets(monkeypatch):
    monkeypatch.setattr(ranks, "BUCKET_BYTES", 40)
    tensors = [torch.zeros(count) for count in (4, 6, 1, 20, 2)]
    assert [[len(tensor) for tensor in bucket] for bucket in buckets(tensors)] == [[4, 6], [1], [20], [2]]
    assert list(buckets([])) == []


def test_a_gradient_that_what_is_gathered_shares_with_others_stays_theirs(monkeypatch):
    """Autograd hands one tensor to both sides of a sum; the second one to look finds it as it was."""
    monkeypatch.setattr(ranks, "ranks", lambda: 2)
    monkeypatch.setattr(ranks, "rank", lambda: 0)
    monkeypatch.setattr(ranks, "every_rank", lambda local: [local.detach()] * 2)
    monkeypatch.setattr(ranks.distributed, "all_reduce", lambda tensor: tensor.mul_(2))
    local, other = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    looks_second = other * 3
    gradient = torch.rand(4, 3)
    ((ranks.gathered(local) + looks_second) * gradient).sum().backward()
    assert torch.equal(local.grad, 2 * gradient[:2])
    assert torch.equal(other.grad, 3 * gradient)


def test_a_mean_over_ranks_leaves_what_it_is_of_as_it_was(monkeypatch):
    """A method may log it, or use it again."""
    monkeypatch.setattr(ranks, "ranks", lambda: 2)
    monkeypatch.setattr(ranks.distributed, "all_reduce", lambda tensor: tensor.mul_(2))
    weights, gradient = torch.ones(3, requires_grad=True), torch.rand(3)
    values = weights * 3
    (ranks.mean_over_ranks(values) * gradient).sum().backward()
    assert torch.equal(values, torch.full((3,), 3.0))
    assert torch.equal(weights.grad, 3 * gradient)
