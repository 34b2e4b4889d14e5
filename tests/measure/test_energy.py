from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest
import torch

from sslbench.measure import energy
from sslbench.measure.energy import Counter, EnergyMeter, Unreadable, card, packages

CPU, GPU = torch.device("cpu"), torch.device("cuda:1")


@pytest.fixture
def rapl(tmp_path):
    """A zone of Linux's powercap."""

    def zone(name, of, used="0", most="262143328850"):
        folder = tmp_path / name
        folder.mkdir()
        for file, text in (("name", of), ("energy_uj", used), ("max_energy_range_uj", most)):
            (folder / file).write_text(f"{text}\n")
        return folder / "energy_uj"

    return zone


def meter(counters):
    return EnergyMeter(CPU, lambda device: counters)


def test_the_packages_of_all_processors_are_added_up_and_their_parts_are_not(rapl, tmp_path):
    first, second = rapl("intel-rapl:0", "package-0", 1_000_000), rapl("intel-rapl:1", "package-1", 5_000_000)
    psys, core = rapl("intel-rapl:2", "psys"), rapl("intel-rapl:0:0", "core")
    used = meter(packages(tmp_path))
    for file, value in ((first, 3_000_000), (second, 5_500_000), (psys, 10**9), (core, 10**9)):
        file.write_text(f"{value}\n")
    assert used.read() == pytest.approx(2.5)
    assert used.read() == pytest.approx(2.5)
    assert used.why_not is None


def test_a_counter_that_begins_again_goes_on(rapl, tmp_path):
    file = rapl("intel-rapl:0", "package-0", 999_000_000, most=1_000_000_000)
    used = meter(packages(tmp_path))
    file.write_text("2000000\n")
    assert used.read() == pytest.approx(3.0)


def test_what_is_left_out_does_not_count():
    readings = iter([0, 2_000_000, 9_000_000, 10_000_000])
    used = meter([Counter(lambda: next(readings))])
    assert used.read() == pytest.approx(2.0)
    used.leave_out()
    assert used.read() == pytest.approx(3.0)


def test_a_machine_without_counters_says_so(tmp_path):
    used = EnergyMeter(CPU, lambda device: packages(tmp_path))
    assert used.read() is None
    assert used.why_not == f"this machine shows no counter of its processor's energy ({tmp_path}/intel-rapl:0)"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "{0} may not be read by this user (sudo chmod a+r {0})"),
        (OSError(5, "Input/output error"), "{0} cannot be read: [Errno 5] Input/output error"),
    ],
)
def test_a_counter_that_may_not_be_read_says_which(rapl, tmp_path, monkeypatch, error, words):
    file, true = rapl("intel-rapl:0", "package-0"), type(tmp_path).read_text

    def read_text(path):
        if path == file:
            raise error
        return true(path)

    monkeypatch.setattr(type(tmp_path), "read_text", read_text)
    used = meter(packages(tmp_path))
    assert (used.read(), used.why_not) == (None, words.format(file))


def test_a_counter_that_fails_later_makes_all_of_it_unknown(rapl, tmp_path):
    file = rapl("intel-rapl:0", "package-0", 5)
    used = meter(packages(tmp_path))
    file.write_text("many\n")
    assert (used.read(), used.why_not) == (None, f"{file} holds 'many', no number")
    file.write_text("9\n")
    assert used.read() is None


class Nvml:
    """As the library, with a card that uses 2 J more between two readings."""

    def __init__(self, refuses=None, code=3):
        self.refuses, self.code, self.used, self.asked = refuses, code, 5000, []
        self.nvmlErrorString = Words()

    def answer(self, name):
        return self.code if name == self.refuses else 0

    def nvmlInit_v2(self):
        return self.answer("init")

    def nvmlDeviceGetHandleByUUID(self, uuid, handle):
        self.asked.append(uuid)
        return self.answer("handle")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, value):
        self.used += 2000
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))[0] = self.used
        return self.answer("energy")


class Words:
    def __call__(self, code):
        return {3: b"Not Supported", 9: b"Driver Not Loaded"}[code]


@pytest.fixture
def named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="a1-b2"))


def test_a_card_is_found_by_its_name_and_read_in_joules(named):
    nvml = Nvml()
    used = EnergyMeter(GPU, lambda device: [card(device, lambda name: nvml)])
    assert (used.read(), used.read(), nvml.asked) == (2.0, 4.0, [b"GPU-a1-b2"])


@pytest.mark.parametrize(
    ("refuses", "code", "words"),
    [("init", 9, "Driver Not Loaded"), ("handle", 3, "Not Supported"), ("energy", 3, "Not Supported")],
)
def test_what_nvml_refuses_is_the_reason(named, refuses, code, words):
    used = EnergyMeter(GPU, lambda device: [card(device, lambda name: Nvml(refuses, code))])
    assert (used.read(), used.why_not) == (None, f"NVML gives no energy of cuda:1: {words}")


def test_without_nvml_a_gpu_has_no_counter():
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    with pytest.raises(Unreadable, match=r"NVML cannot be loaded: libnvidia-ml\.so\.1: cannot open"):
        card(GPU, missing)


def test_each_kind_of_device_is_asked_in_its_own_way(monkeypatch):
    monkeypatch.setattr(energy, "card", lambda device: f"card of {device}")
    monkeypatch.setattr(energy, "packages", lambda: ["package"])
    assert (energy.counters_of(GPU), energy.counters_of(CPU)) == (["card of cuda:1"], ["package"])


def test_steps_of_their_own_are_counted_and_nothing_before_them():
    joules, steps, waits = [0.0], [], []

    def step():
        joules[0] += 4.0
        steps.append(1)

    used = meter([Counter(lambda: round(1e6 * joules[0]))])
    joules[0] = 100.0
    assert energy.joules_per_image(step, 8, 10.0, 0.05, used, lambda: waits.append(len(steps))) == pytest.approx(0.5)
    assert (len(steps), waits) == (5, [0, 5])
    energy.joules_per_image(step, 8, 1e9, 0.05, used, lambda: None)
    assert len(steps) == 8
