"""What an evaluator gets beyond features agrees with the features, and is its own to change."""

from __future__ import annotations

import pytest
import torch

from sslbench import EvaluatorSpec, Metric
from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.dataset import Split
from sslbench.contracts.method import InputSpec, Method
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import extract_all
from sslbench.evaluate.run import run_evaluator
from sslbench.plan.cell import Choice
from sslbench.testing.fakes import TinyBackbone, TinyDataset, TinyReconstructor
from sslbench.train.checkpoint import weights_digest
from sslbench.train.data import make_splits

CPU = torch.device("cpu")
SPLITS = ("train", "test")


class Teacher(Method):
    """A teacher that is evaluated and that no optimizer trains, with batch norm; its own input where one is given."""

    def __init__(self, own_input: InputSpec | None = None) -> None:
        super().__init__()
        self.teacher = TinyBackbone().requires_grad_(False)
        self.own_input = own_input

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return ()

    @property
    def encoder(self) -> torch.nn.Module:
        return self.teacher

    @property
    def input_spec(self) -> InputSpec | None:
        return self.own_input

    def forward(self, views, *, masks, progress):
        raise AssertionError("not trained here")


class Wide(TinyDataset):
    """Images that are 9 by 14 pixels."""

    def split(self, name):
        split = super().split(name)
        return Split(
            torch.nn.functional.pad(split.images, (3, 3, 0, 1), value=7),
            split.labels,
            maps={key: torch.nn.functional.pad(maps, (3, 3, 0, 1)) for key, maps in split.maps.items()},
        )


def made(seed: int = 0, own_input: InputSpec | None = None) -> Teacher:
    torch.manual_seed(seed)
    return Teacher(own_input)


def trained(dataset=None, own_input: InputSpec | None = None, precision: str = "fp32", **settings):
    data = make_splits(
        dataset or TinyDataset(), **{"evaluate_on": "test", "train_images": None, "image_size": None, **settings}
    )
    method = made(100, own_input)
    return TrainedModel(method, lambda seed: made(seed, own_input), data, CPU, precision), data


@pytest.mark.parametrize("settings", [{}, {"image_size": 12}, {"train_images": 20}, {"evaluate_on": "validation"}])
@pytest.mark.parametrize("own_input", [None, InputSpec(10, (0.2,) * 3, (0.3,) * 3, crop=0.8, interpolation="bicubic")])
@pytest.mark.parametrize("dataset", [TinyDataset(), Wide()])
def test_images_by_index_are_those_that_the_features_are_of(dataset, own_input, settings):
    model, data = trained(dataset, own_input, **settings)
    extraction = extract_all(model.method.encoder, data, CPU, "fp32", input_spec=own_input)
    for split, features in (("train", extraction.train), ("test", extraction.test)):
        indices = torch.tensor([5, 0, len(features.features) - 1])
        images = model.images(split, indices)
        assert images.shape == (3, 3, model.image_size, model.image_size)
        with torch.no_grad():
            assert torch.allclose(model.method.encoder(images), features.features[indices], atol=1e-6)
        assert torch.equal(features.labels[indices], (data.train if split == "train" else data.test).labels[indices])


def test_pixels_are_the_data_sets_and_normalise_makes_images_of_them():
    model, data = trained()
    indices = torch.tensor([3, 1])
    pixels = model.pixels("test", indices)
    assert torch.equal(pixels, data.test.images[indices])
    assert torch.allclose(model.normalise(pixels.float() / 255), model.images("test", indices))


@pytest.mark.parametrize("own_input", [None, InputSpec(6, (0,) * 3, (1,) * 3, crop=0.75)])
def test_maps_are_of_the_images_pixels(own_input):
    """The mask is the bright half: what it covers is brighter in the image of the same view."""
    model, _ = trained(Wide(), own_input, image_size=9)
    indices = torch.arange(8)
    masks, images = model.maps("test", "mask", indices), model.images("test", indices).mean(dim=1)
    assert (masks.shape, masks.dtype) == (images.shape, torch.uint8)
    for mask, image in zip(masks, images, strict=True):
        assert image[mask == 1].mean() > image[mask == 0].mean() + 0.1
    assert model.maps("test", "depth", indices).dtype == torch.float32


def test_the_encoder_is_a_copy_that_learns_whole_and_leaves_the_model_alone():
    model, _ = trained()
    before = weights_digest(model.method)
    copy = model.encoder()
    assert weights_digest(copy) == weights_digest(model.method.encoder)
    assert copy.training
    assert all(parameter.requires_grad for parameter in copy.parameters())
    copy(torch.randn(8, 3, 8, 8)).sum().backward()
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.sub_(parameter.grad)
    assert weights_digest(copy) != weights_digest(model.method.encoder)
    assert weights_digest(model.method) == before
    assert not model.method.training
    assert not any(parameter.requires_grad for parameter in model.method.encoder.parameters())


def test_what_the_backbone_holds_fixed_stays_so_and_what_the_method_froze_learns():
    model, _ = trained()
    model.method.fixed = frozenset({"net.0.bias"})
    made_so, make = model.method.fixed, model._make

    def again(seed):
        method = make(seed)
        method.fixed = made_so
        return method

    model._make = again
    for network in (model.encoder(), model.scratch(1)):
        assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["net.0.bias"]


def test_from_scratch_is_the_architecture_as_the_seed_initialises_it():
    model, _ = trained()
    fresh = model.scratch(3)
    assert weights_digest(fresh) == weights_digest(made(3).encoder)
    assert weights_digest(fresh) != weights_digest(model.method.encoder)
    assert weights_digest(fresh) != weights_digest(model.scratch(4))
    assert fresh.training
    assert all(parameter.requires_grad for parameter in fresh.parameters())


def test_the_precision_of_the_run_is_that_of_the_context():
    layer = torch.nn.Linear(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        model, _ = trained(precision=precision)
        with model.autocast():
            assert layer(torch.zeros(1, 4)).dtype == dtype


def test_features_are_computed_in_tf32_where_the_run_is_and_evaluators_compute_in_ieee():
    seen = {}

    def look(name):
        seen[name] = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    class Looks:
        def evaluate(self, data):
            look("evaluator")
            with data.model.autocast():
                look("its use of the encoder")
            yield Metric("look_score", 1.0)

    model, data = trained(precision="tf32")
    handle = model.method.encoder.register_forward_hook(lambda *_: look("features"))
    features = extract_all(model.method.encoder, data, CPU, "tf32")
    handle.remove()
    spec = EvaluatorSpec(name="looks", headline="look_score", build=lambda params, context: Looks(), uses_model=True)
    run_evaluator(Choice(spec, spec.params()), features, model, seed=0)
    assert seen == {
        "features": (True, True),
        "evaluator": (False, False),
        "its use of the encoder": (True, True),
    }


def test_a_method_is_evaluated_in_eval_mode():
    data = make_splits(TinyDataset(), evaluate_on="test", train_images=None, image_size=None)
    method = TinyReconstructor(8).train()
    assert not TrainedModel(method, lambda seed: TinyReconstructor(8), data, CPU).method.training
