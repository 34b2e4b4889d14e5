from __future__ import annotations

import re

from sslbench.hooks.registry import Registry
from sslbench.report.aggregate import aggregate
from sslbench.report.sections.published import published, published_numbers
from sslbench.report.view import View


def section_of(records):
    return published(View(aggregate(records)))


def cifar(record, name="simclr", **given):
    training = {**record().params["training"], "epochs": 200, "batch_size": 512}
    params = {"training": training, "evaluator": {"k": 200, "temperature": 0.1}, **given}
    return record(name, dataset="cifar10", backbone="resnet18-cifar", metrics={"knn_top1": 0.84}, params=params)


def test_every_number_says_where_it_is_from_and_how_it_was_evaluated():
    registry = Registry()
    assert len(published_numbers()) >= 30
    for number in published_numbers():
        assert number.source
        assert number.protocol
        assert 0 < number.top1 < 100
        assert number.epoch in ("last", "best")
        assert number.evaluator in registry.names("evaluator")
        params = registry.get("evaluator", number.evaluator).params.model_fields
        assert set(number.evaluator_params or {}) <= set(params)
        if number.method in registry.names("method"):
            assert set(number.params) <= set(registry.get("method", number.method).params.model_fields)


def test_the_reference_table_is_in_it():
    linear = {
        (number.method, number.network): number.top1
        for number in published_numbers()
        if number.dataset == "imagenet" and number.evaluator == "linear-probe"
    }
    assert linear["supervised", "ResNet-50"] == 76.5
    assert linear["simclr", "ResNet-50"] == 69.3
    assert linear["moco", "ResNet-50"] == 71.1
    assert linear["byol", "ResNet-50"] == 74.3
    assert linear["dino", "ViT-S/16"] == 77.0
    assert linear["mae", "ViT-L/16"] == 75.8
    assert linear["pretrained", "DINOv2 ViT-g/14"] == 86.5
    (knn,) = (n for n in published_numbers() if n.network == "DINOv2 ViT-g/14" and n.evaluator == "knn")
    assert knn.top1 == 83.5
    assert "its authors give 83.5 for k-NN and 86.5 for a linear layer" in knn.note


def test_published_numbers_stand_beside_measured_ones_with_what_differs(record):
    section = section_of([cifar(record)])
    measured, *rest = section.rows
    assert (measured["origin"], measured["top1"], measured["epoch"]) == ("measured", 84.0, "last")
    assert {row["origin"] for row in rest} == {"published"}
    assert {row["dataset"] for row in rest} == {"cifar10", "imagenet"}
    same = next(row for row in rest if (row["epochs"], row["batch_size"]) == (200, 512))
    assert (same["top1"], same["differs"]) == (84.8, ["which epoch"])
    assert next(row for row in rest if row["dataset"] == "imagenet")["differs"] == ["not measured here"]
    source = next(note for note in section.notes if "lightly" in note)
    assert "the largest value of all epochs on the test images" in source
    assert re.search(r"published \[\d\]", " ".join(section.columns[1].cells))


def test_parameters_of_method_and_evaluator_are_held_against_the_source(record):
    section = section_of([cifar(record, "moco", method={"symmetric": True}, evaluator={"k": 20, "temperature": 0.1})])
    row = next(r for r in section.rows if r["top1"] == 82.6)
    assert row["method"] == "moco (symmetric=false)"
    assert row["differs"] == ["k", "symmetric"]


def test_a_pretrained_model_is_known_by_its_name(record):
    def names(model):
        records = [record("pretrained", params={"method": {"name": model}})]
        return {row["network"] for row in section_of(records).rows if row["origin"] == "published"}

    assert names("vit_small_patch14_dinov2.lvd142m") == {"DINOv2 ViT-S/14"}
    assert names("resnet50.a1_in1k") == set()


def test_methods_without_a_published_number_have_none(record):
    section = section_of([record("random-init")])
    assert not section.rows
    assert section.title.startswith("published numbers: none for these methods (there are some for simclr, moco")
