"""Every registered spec keeps its contract; a plugin is tested by being registered."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from sslbench import centre_view
from sslbench.cli.main import call
from sslbench.contracts.augmentation import AugmentationSpec, ViewRequest
from sslbench.contracts.backbone import BackboneSpec
from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec, Metric
from sslbench.contracts.masking import MaskingSpec, masked_count
from sslbench.contracts.method import Method, MethodSpec
from sslbench.hooks.catalogue import KINDS, Catalogue
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems
from sslbench.testing.fakes import TinyBackbone, TinyDataset, TinyReconstructor, TinyTokenBackbone

REGISTRY = Registry()
SMALL_HEAD = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8}
GIVEN = {
    ("backbone", "timm"): {"name": "vit_tiny_patch16_224"},
    ("evaluator", "few-label-scratch"): {"least_steps": 10},
    ("method", "distill"): {"teacher": "raw-pixels", "hidden_dim": 32},
    ("evaluator", "fine-tune"): {"least_steps": 10},
    ("method", "barlow-twins"): {"hidden_dim": 16, "dim": 8},
    ("method", "dino"): SMALL_HEAD,
    ("method", "dinov2"): SMALL_HEAD,
    ("method", "ibot"): SMALL_HEAD,
    ("method", "ijepa"): {"predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2},
    ("method", "lejepa"): {"hidden_dim": 16, "slices": 32},
    ("method", "swav"): {"prototypes": 12, "hidden_dim": 16, "dim": 8},
    ("method", "vicreg"): {"hidden_dim": 16, "dim": 8},
    ("method", "mae"): {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2},
    ("backbone", "vit"): {"size": "tiny"},
    ("simulator", "collapse"): {"claim_seeds": 1, "images": 64, "steps": 20, "epochs": 2},
}
"""For specs with required parameters, and for those whose trainings are longer than a test has time for."""
ELSEWHERE = {
    ("dataset", name)
    for name in (
        "cifar10",
        "cifar100",
        "fashion-mnist",
        "hf-disk",
        "imagefolder",
        "imagefolder-maps",
        "imagenette",
        "images",
        "medmnist",
        "parquet",
        "stl10",
        "webdataset",
    )
} | {("method", "pretrained"), ("executor", "ray"), ("executor", "slurm")}
ELSEWHERE |= {("observer", name) for name in ("mlflow", "tensorboard", "wandb")}
"""Those that need files, a cluster or a library; their own tests make some and check them against the contract."""
NAMES = [entry.promise for entry in Catalogue.installed().entries if entry.distribution == "sslbench"]


@pytest.mark.parametrize(("kind", "name"), [pair for pair in NAMES if pair not in ELSEWHERE], ids=str)
def test_a_builtin_keeps_its_contract(kind, name):
    assert problems(REGISTRY.get(kind, name), **GIVEN.get((kind, name), {})) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_none_has_a_fault_with_any_preset_or_at_any_limit_of_a_parameter(kind, capsys):
    few_seeds = {pair: {"claim_seeds": 2} for pair in NAMES if pair[0] == "simulator"}
    settings = few_seeds | GIVEN
    targets = []
    for pair in (pair for pair in NAMES if pair[0] == kind and pair not in ELSEWHERE):
        given = ",".join(f"{key}={value}" for key, value in settings.get(pair, {}).items())
        targets.append(":".join(filter(None, [".".join(pair), given])))
    code = call(["check", *targets, "--ranks", "1"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert re.search(rf"checked {len(targets)} plugins?, \d+ sets? of parameters, [\d,]+ checks: no fault", out), out


@pytest.mark.parametrize(("kind", "name"), NAMES, ids=str)
def test_the_summary_of_a_builtin_is_the_first_line_of_its_module(kind, name):
    (entry,) = Catalogue.installed().owners(kind, name)
    assert REGISTRY.get(kind, name).summary == entry.summary


class Augmentation:
    def __init__(self, make):
        self.make = make

    def view(self, index, kind, size):
        return lambda images, generator: self.make(images, size, generator)


def augmentation(make):
    return AugmentationSpec(name="a", summary="An a.", build=lambda params, context: Augmentation(make))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x, size, g: torch.zeros(len(x), 3, size, size + 1), "returned torch.float32 [5, 3, 16, 17]"),
        (lambda x, size, g: torch.full((len(x), 3, size, size), 255.0), "values from 255 to 255, not within 0..1"),
        (lambda x, size, g: torch.rand(len(x), 3, size, size), "drew from torch's global generator"),
        (lambda x, size, g: x.zero_()[:, :, :1, :1].expand(-1, -1, size, size) / 1.0, "it changed its input"),
        (lambda x, size, g: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_a_wrong_augmentation_is_named_with_what_is_wrong(make, words):
    assert any(words in line for line in problems(augmentation(make)))


class Masking:
    def sample(self, batch, grid, ratio, generator):
        return torch.rand(batch, grid[0] * grid[1], generator=generator) < ratio


def test_a_masking_with_uneven_counts_is_named():
    spec = MaskingSpec(name="m", summary="An m.", build=lambda params, context: Masking())
    assert any("patches, not 4 in every row" in line for line in problems(spec))


SHIFT = torch.full((3, 1, 1), 0.0)


@pytest.mark.pretended
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda x, size, g: centre_view(x, size) + SHIFT,
            "view 0 (global) on a GPU: Expected all tensors to be on the same device, but found at least two devices,"
            " cuda:0 and cpu!",
        ),
        (
            lambda x, size, g: torch.zeros(len(x), 3, size, size),
            "view 0 (global) on a GPU: it returned a tensor on the CPU",
        ),
    ],
)
def test_an_augmentation_that_forgets_the_device_is_named(make, words):
    assert f"augmentation 'a': {words}" in problems(augmentation(make))


@pytest.mark.pretended
def test_one_that_waits_for_the_gpu_is_slow_but_not_wrong():
    def make(x, size, g):
        return centre_view(x, size) * (1.0 if x.float().mean().item() < 300 else 0.0)

    assert not any("GPU" in line for line in problems(augmentation(make)))


@pytest.mark.pretended
def test_a_masking_that_forgets_the_device_is_named():
    class Forgetful:
        def sample(self, batch, grid, ratio, generator):
            ranks = torch.rand(batch, grid[0] * grid[1], generator=generator).argsort(dim=1)
            return ranks < masked_count(grid[0] * grid[1], ratio)

    spec = MaskingSpec(name="m", summary="An m.", build=lambda params, context: Forgetful())
    words = "Expected a 'cpu' device type for generator but found 'cuda'"
    assert problems(spec) == [f"masking 'm': sample on a GPU: {words}"]


class Constant:
    def evaluate(self, data):
        data.train.features.zero_()
        return [Metric("c", float("nan"))]


def test_a_wrong_evaluator_is_named_with_what_is_wrong():
    spec = EvaluatorSpec(name="e", summary="An e.", build=lambda params, context: Constant())
    lines = "\n".join(problems(spec))
    assert "c is nan; what cannot be measured is None" in lines
    assert "it changed the features" in lines


class Detached(Method):
    def __init__(self):
        super().__init__()
        self.backbone = TinyBackbone()
        self.head = torch.nn.Linear(16, 1)

    @property
    def views(self):
        return (ViewRequest("global", 16),)

    @property
    def encoder(self):
        return self.backbone

    def forward(self, views, *, masks, progress):
        return self.head(self.backbone(views[0]).detach()).float().mean(), {}


def test_a_method_whose_encoder_learns_nothing_is_named():
    spec = MethodSpec(name="d", summary="A d.", build=lambda params, context: Detached())
    assert problems(spec) == ["method 'd': a step of the optimizer does not change the encoder: no gradient reaches it"]


class Thawing(Detached):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone.requires_grad_(True)

    def forward(self, views, *, masks, progress):
        return self.head(self.backbone(views[0])).float().mean(), {}


def test_a_method_that_trains_what_was_frozen_is_named():
    spec = MethodSpec(name="t", summary="A t.", build=lambda params, context: Thawing(context.backbone))
    assert problems(spec) == ["method 't': it trains a parameter that the backbone had frozen"]


class Small(Thawing):
    @property
    def views(self):
        return (ViewRequest("local", 8),)


def test_a_method_that_asks_for_views_it_did_not_name_is_named():
    spec = MethodSpec(name="s", summary="An s.", build=lambda params, context: Small(context.backbone))
    assert "method 's': it asks for local views, which its view_kinds do not name" in problems(spec)


class Attached(Detached):
    """A queue that is no buffer, and so stays on the CPU."""

    def __init__(self):
        super().__init__()
        self.queue = torch.zeros(2, 16)

    def forward(self, views, *, masks, progress):
        return (self.backbone(views[0]) @ self.queue.T + self.head(self.backbone(views[0]))).float().mean(), {}


@pytest.mark.pretended
def test_a_method_that_leaves_a_tensor_behind_is_named():
    spec = MethodSpec(name="q", summary="A q.", build=lambda params, context: Attached())
    (line,) = problems(spec)
    assert line.startswith("method 'q': forward on a GPU: Expected all tensors to be on the same device")


class Everywhere(TinyTokenBackbone):
    def attention(self, images):
        return 2 * super().attention(images)


class Square(TinyTokenBackbone):
    def attention(self, images):
        return torch.eye(64).expand(len(images), 2, -1, -1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (TinyTokenBackbone, []),
        (Everywhere, ["backbone 'x': its attention is no share of 1: it is negative, or sums to more"]),
        (Square, ["backbone 'x': attention returned [3, 2, 64, 64], not [3, heads, 64]"]),
    ],
)
def test_wrong_attention_is_named(make, words):
    provides = frozenset({"tokens", "attention"})
    spec = BackboneSpec(
        name="x", summary="s", build=lambda params, context: make(context.image_size), provides=provides
    )
    assert problems(spec) == words


def test_a_data_set_with_wrong_factors_and_maps_is_named():
    whole = TinyDataset().split("train")
    split = replace(
        whole,
        factors={"hue": torch.zeros(len(whole), dtype=torch.float64)},
        maps={"depth": torch.zeros(len(whole), 4, 4, dtype=torch.float64), "flow": whole.images[:, 0]},
    )

    class Data(TinyDataset):
        def split(self, name):
            return split

    spec = DatasetSpec(
        name="d",
        summary="A d.",
        build=lambda params, context: Data(),
        fingerprint=lambda params: "1",
        provides=frozenset({"labels", "depth"}),
    )
    size, count = Data().image_size, len(split)
    lines = problems(spec)
    for words in (
        "maps ['depth', 'flow'], but it provides ['depth']",
        "1 factors, but it provides ['depth', 'labels']",
        f"factor 'hue' is torch.float64 [{count}], not int64 or float32 [{count}]",
        f"map 'depth' is torch.float64 [3, 4, 4], not torch.float32 [B, {size}, {size}]",
    ):
        assert f"dataset 'd': train: {words}" in lines


def test_names_and_summaries_are_checked():
    def build(params, context):
        return Masking()

    build.__module__ = "without.docstring"
    lines = "\n".join(problems(MaskingSpec(name="My Masking", build=build)))
    assert "must be lower-case" in lines
    assert "it has no summary, and the module of its build no docstring" in lines


class Reconstructor(TinyReconstructor):
    def __init__(self, make):
        super().__init__(16)
        self.make = make

    def reconstruct(self, images, mask):
        return self.make(images)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda images: images + 1, "ratio 0.25: reconstruct changes visible pixels"),
        (lambda images: images[:, :1], "reconstruct returned [4, 1, 16, 16] for [4, 3, 16, 16]"),
    ],
)
def test_a_wrong_reconstruction_is_named(make, words):
    spec = MethodSpec(
        name="p",
        summary="A p.",
        build=lambda params, context: Reconstructor(make),
        needs=frozenset({"tokens"}),
        provides=frozenset({"reconstruction"}),
        trains=False,
    )
    assert problems(spec)[0] == f"method 'p': {words}"


def test_the_tiny_reconstructor_keeps_the_contract():
    spec = MethodSpec(
        name="p",
        summary="A p.",
        build=lambda params, context: TinyReconstructor(16),
        provides=frozenset({"reconstruction"}),
        trains=False,
    )
    assert problems(spec) == []
