"""The check of methods on several devices finds what one device's images alone went into."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sslbench import Method, MethodParams, MethodSpec, ViewRequest, rank
from sslbench.testing.conformance import problems
from sslbench.testing.conformance.two_devices import differences, of_methods

FILE = Path(__file__).with_name("on_two_devices.py")
PLACE = importlib.util.spec_from_file_location("planted_on_two_devices", FILE)
planted = importlib.util.module_from_spec(PLACE)
PLACE.loader.exec_module(planted)
FINE = ["Pairs", "Dropping"]
TRIED = ["Pairs", "Dropping", "Ungathered", "OwnCentre", "OwnQueue", "OwnStatistics", "OwnScalar", "Random"]


@pytest.fixture(scope="module")
def found(monkeypatch_module):
    """The problems of each, from one pair of processes."""
    specs = [planted.spec_of(getattr(planted, name)) for name in TRIED]
    return dict(zip(TRIED, of_methods([(spec, spec.params()) for spec in specs]), strict=True))


@pytest.fixture(scope="module")
def monkeypatch_module():
    """The module can be found by its file alone, as a test's own can."""
    patch = pytest.MonkeyPatch()
    patch.setitem(__import__("sys").modules, "planted_on_two_devices", planted)
    yield patch
    patch.undo()


@pytest.mark.parametrize("name", FINE)
def test_a_method_that_gathers_has_no_problem(found, name):
    assert found[name] == []


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Ungathered", "the loss is not that of 16 images together"),
        ("OwnCentre", "centre after the step is not that of 16 images together"),
        ("OwnQueue", "queue.keys after the step is not that of 16 images together"),
        ("OwnStatistics", "the loss is not that of 16 images together"),
        ("OwnScalar", "scalar 'spread' is not that of 16 images together"),
    ],
)
def test_what_one_rank_computed_from_its_own_images_is_named(found, name, what):
    assert found[name]
    assert all(line.startswith("on 2 ranks of 8 images: ") for line in found[name])
    assert all(what in line for line in found[name]), found[name]


def test_a_method_that_no_hook_brings_is_taken_as_it_is():
    """One that a test makes, under the name of another: both processes are given this very one."""

    class Alike(Method):
        scale = 2.0

        def __init__(self, backbone, size):
            super().__init__()
            self.backbone, self.size = backbone, size

        @property
        def views(self):
            return (ViewRequest("global", self.size),) * 2

        @property
        def encoder(self):
            return self.backbone

        def forward(self, views, *, masks, progress):
            first, second = (self.backbone(view) for view in views)
            return self.scale * (first - second).square().mean(), {}

    class OwnScale(Alike):
        @property
        def scale(self):
            return 1.0 + rank()

    def spec_of(method):
        return MethodSpec(
            name="byol",
            summary="A method of this test.",
            params=MethodParams,
            build=lambda params, context: method(context.backbone, context.image_size),
        )

    specs = [spec_of(Alike), spec_of(OwnScale)]
    fine, wrong = of_methods([(spec, spec.params()) for spec in specs])
    assert fine == []
    assert [line for line in wrong if "the loss is not that of 16 images together" in line], wrong


def test_a_loss_that_draws_random_numbers_cannot_be_compared(found):
    (line,) = found["Random"]
    assert line == "its loss draws random numbers: ranks cannot be compared with one process; give parameters without"


def test_the_words_of_a_rank_that_fails_are_shown(monkeypatch_module):
    spec = planted.spec_of(planted.Refusing)
    assert problems(spec) == []
    assert problems(spec, ranks=2) == ["method 'refusing': on 2 ranks: ValueError: one device only"]


def test_a_rank_that_ends_without_a_word_is_a_problem(tmp_path):
    files = [tmp_path / "0.0", tmp_path / "0.1"]
    assert list(differences({}, {}, files, [])) == ["on 2 ranks: a process before it ended without a word"]
