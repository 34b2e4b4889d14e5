from __future__ import annotations

import os

import pytest

from sslbench import BuildContext, UserError, build_plugin
from sslbench_plugins.executors.workers.places import Machine, Place, devices_asked, gpu_names, places

CPU = Machine((), 8)
GPUS = Machine(("0", "1", "2", "3"), 8)


def visible(device="auto", devices=1, slots=None, machine=GPUS):
    return [place.environment["CUDA_VISIBLE_DEVICES"] for place in places(device, devices, slots, machine)]


def test_a_cpu_has_one_worker_with_all_its_threads():
    for device in ("auto", "cpu", "cuda"):  # that there is no GPU the harness says
        assert places(device, 1, None, CPU) == (Place("cpu"),)
        assert devices_asked(device, CPU) == ("cpu",)
    assert places("cpu", 1, None, GPUS) == (Place("cpu"),)
    assert places("cpu", 4, None, GPUS) == (Place("cpu"),)


@pytest.mark.parametrize(("slots", "threads"), [(2, "4"), (3, "2"), (8, "1"), (20, "1")])
def test_workers_on_a_cpu_share_its_cores(slots, threads):
    assert places("auto", 1, slots, CPU) == (Place("cpu", {"OMP_NUM_THREADS": threads}, slots),) * slots


def test_threads_that_the_user_set_stay():
    machine = Machine((), 8, {"OMP_NUM_THREADS": "3"})
    assert places("cpu", 1, 2, machine) == (Place("cpu", at_once=2),) * 2


def test_each_gpu_has_a_worker_of_its_own():
    assert visible() == visible("cuda") == ["0", "1", "2", "3"]
    assert [place.device for place in places("auto", 1, None, GPUS)] == ["cuda"] * 4
    assert devices_asked("auto", GPUS) == ("cuda:0", "cuda:1", "cuda:2", "cuda:3")


def test_a_gpu_that_is_named_has_the_only_worker():
    assert visible("cuda:2") == ["2"]
    assert devices_asked("cuda:2", GPUS) == ("cuda:2",)


def test_more_workers_than_gpus_are_dealt_out():
    assert visible(slots=6) == ["0", "1", "2", "3", "0", "1"]
    assert visible("cuda:1", slots=2) == ["1", "1"]
    assert visible(slots=2) == ["0", "1"]
    assert {place.environment["OMP_NUM_THREADS"] for place in places("auto", 1, 6, GPUS)} == {"1"}


def test_how_many_share_a_device_is_known():
    counts = [places("auto", 1, slots, GPUS)[0].at_once for slots in (None, 2, 4, 5, 8)]
    assert counts == [1, 1, 1, 2, 2]
    assert places("cuda:1", 1, 3, GPUS)[0].at_once == 3


def test_a_worker_gets_as_many_gpus_as_one_pretraining_takes():
    assert visible(devices=2) == ["0,1", "2,3"]
    assert visible(devices=3) == ["0,1,2"]
    assert visible(devices=4) == ["0,1,2,3"]
    assert visible(devices=2, slots=3) == ["0,1", "2,3", "0,1"]


def test_more_gpus_than_there_are_is_the_users_mistake():
    words = r"devices = 5 with device 'auto': executor 'workers' has 4 GPU\(s\): cuda:0, cuda:1, cuda:2, cuda:3"
    with pytest.raises(UserError, match=words):
        visible(devices=5)
    with pytest.raises(UserError, match=r"devices = 2 with device 'cuda:1': executor 'workers' has 1 GPU\(s\): cuda:1"):
        visible("cuda:1", devices=2)


@pytest.mark.parametrize(
    ("count", "inherited", "names"),
    [
        (2, None, ("0", "1")),
        (2, "", ("0", "1")),
        (2, "5,3", ("5", "3")),
        (2, " 5 , 3 ", ("5", "3")),
        (1, "5,-1,3", ("5",)),  # CUDA stops at the first that is none
        (2, "GPU-ab,GPU-cd", ("GPU-ab", "GPU-cd")),
        (1, "MIG-ab", ("MIG-ab",)),
        (0, "", ()),
    ],
)
def test_gpus_are_those_that_are_visible_here(count, inherited, names):
    assert gpu_names(count, inherited) == names


def test_gpus_are_counted_without_a_context_on_any(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "_lazy_init", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,4")
    assert Machine.here("auto").gpus == ("7", "4")
    assert Machine.here("auto").cores == len(os.sched_getaffinity(0))
    monkeypatch.setattr(torch.cuda, "device_count", None)
    assert Machine.here("cpu").gpus == ()


def test_the_plugin_is_built_from_its_parameters_and_starts_nothing():
    workers = build_plugin("executor", "workers:slots=3", BuildContext(device="cpu"))
    assert (workers.slots, workers.devices(), workers._thread) == (3, ("cpu",), None)
    workers.close()
    with pytest.raises(UserError, match="slots"):
        build_plugin("executor", "workers:slots=0")
