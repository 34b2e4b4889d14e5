"""What tasks ask for, and how many a cluster has room for."""

from __future__ import annotations

import pytest

from sslbench import BuildContext, UserError
from sslbench_plugins.executors.ray import build
from sslbench_plugins.executors.ray.needs import Needs, RayParams

BIG, SMALL, HEAD = {"CPU": 16, "GPU": 2, "memory": 64e9}, {"CPU": 6, "GPU": 1, "memory": 8e9}, {"CPU": 2, "memory": 4e9}


@pytest.mark.parametrize(
    ("params", "gpus", "needs", "room"),
    [
        ({}, 1, Needs(1, 6, 0), 3),
        ({"cpus": 8}, 1, Needs(1, 8, 0), 2),
        ({}, 2, Needs(2, 16, 0), 1),
        ({}, 0.5, Needs(0.5, 3, 0), 6),
        ({}, 0, Needs(0, 1, 0), 24),
        ({"memory": 10}, 0, Needs(0, 1, 10_000_000_000), 6),
        ({"cpus": 4}, 3, Needs(3, 4, 0), 0),
    ],
)
def test_a_task_gets_its_gpus_share_of_the_cores_and_slots_are_what_there_is_room_for(params, gpus, needs, room):
    nodes = [HEAD, BIG, SMALL]
    assert Needs.of(RayParams(**params), gpus, 1, nodes) == needs
    assert needs.room(nodes) == room


def test_each_device_of_a_training_on_the_cpu_has_a_core():
    assert Needs.of(RayParams(), 0, 4, [HEAD, SMALL]) == Needs(0, 4, 0)
    assert Needs.of(RayParams(cpus=2), 0, 4, [SMALL]) == Needs(0, 2, 0)


@pytest.mark.parametrize(
    ("needs", "slots", "at_once"),
    [
        (Needs(1, 4, 0), 9, 1),
        (Needs(2, 4, 0), 9, 1),
        (Needs(0.5, 1, 0), 9, 2),
        (Needs(0.3, 1, 0), 9, 3),
        (Needs(0, 4, 0), 9, 4),
        (Needs(0, 4, 0), 2, 2),
        (Needs(0, 64, 0), 9, 1),
    ],
)
def test_a_record_says_how_many_may_share_its_device(needs, slots, at_once):
    assert needs.at_once([HEAD, BIG, SMALL], slots) == at_once
    assert needs.at_once([], slots) in (1, at_once)


def test_what_ray_is_asked_for():
    assert Needs(1.0, 2, 0).options() == {"num_gpus": 1, "num_cpus": 2}
    assert Needs(0, 1, 5).options() == {"num_gpus": 0, "num_cpus": 1, "memory": 5}
    assert Needs(0.25, 1, 0).options() == {"num_gpus": 0.25, "num_cpus": 1}
    assert Needs(1, 4, 8_000_000_000).in_words() == "1 GPU, 4 CPU, 8 GB"


@pytest.mark.parametrize(
    ("device", "devices", "params", "message"),
    [
        (
            "cuda:1",
            1,
            {},
            "device cuda:1: Ray decides which GPU a task gets; allowed with executor 'ray': auto, cpu, cuda",
        ),
        ("cuda", 1, {"gpus": 0}, "device cuda: executor 'ray' asks for no GPU; give it gpus=1 or more"),
        ("auto", 1, {"gpus": 1.5}, "gpus = 1.5: allowed are whole numbers, or a part of one GPU below 1"),
        ("auto", 4, {"gpus": 2}, "devices = 4: executor 'ray' asks for gpus = 2; leave it out, or give 4"),
    ],
)
def test_what_cannot_be_is_refused_before_ray_is_looked_for(device, devices, params, message):
    with pytest.raises(UserError) as error:
        build(RayParams(**params), BuildContext(device=device, devices=devices))
    (line,) = error.value.messages
    assert message in line


@pytest.mark.parametrize(
    ("device", "devices", "params", "expected", "gpus"),
    [
        ("auto", 1, {}, ("cuda", "cpu"), 1),
        ("cuda", 2, {}, ("cuda", "cpu"), 2),
        ("cpu", 1, {}, ("cpu",), 0),
        ("auto", 1, {"gpus": 0}, ("cpu",), 0),
        ("cpu", 1, {"gpus": 1}, ("cuda", "cpu"), 1),
    ],
)
def test_the_device_is_that_of_the_nodes_and_not_of_the_head(ray, executor_of, device, devices, params, expected, gpus):
    executor = executor_of(device, devices, **params)
    assert executor.devices() == expected
    assert executor.needs.gpus == gpus


def test_a_cluster_without_gpus_computes_on_its_cpus(ray, executor_of):
    ray.has({"CPU": 4}, {"CPU": 3})
    executor = executor_of("auto")
    assert executor.devices() == ("cpu",)
    assert executor.slots == 7
    assert executor_of(slots=2).slots == 2


def test_there_is_one_slot_where_there_is_no_room_yet(ray, executor_of, small_work, tmp_path, done):
    ray.has({"CPU": 4})
    executor = executor_of("cuda")
    assert executor.slots == 1
    events, _ = done(executor, small_work(tmp_path, "raw-pixels"))
    assert events[0].text == "Ray: no node has 1 GPU, 1 CPU now (at most 0 GPU, 4 CPU); it waits for one"
