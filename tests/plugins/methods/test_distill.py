from __future__ import annotations

import json
import math

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from sslbench import UserError, build_plugin
from sslbench.cli.main import call
from sslbench.contracts.method import InputSpec, Progress
from sslbench.contracts.plugin import BuildContext
from sslbench.measure.flops import step_flops_per_image
from sslbench.testing.conformance import problems
from sslbench.testing.fakes import TinyBackbone
from sslbench_plugins.blocks.networks.untrained import Untrained
from sslbench_plugins.blocks.objectives.running_standard import RunningStandard
from sslbench_plugins.methods.distill import Distill, DistillParams, similarity_loss, sslbench_methods

(SPEC,) = sslbench_methods()
PROGRESS = Progress(0, 10, 0, 1)
MEAN, STD = (0.4, 0.5, 0.6), (0.1, 0.2, 0.4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small vision transformer as ``sslbench export`` writes one; it wants 16 px."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    folder.mkdir()
    write(folder, seed=0)
    return folder


def write(folder, seed):
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
    torch.manual_seed(seed)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments)
    save_file(net.state_dict(), folder / "model.safetensors")
    cfg = {"input_size": [3, 16, 16], "mean": [0.3] * 3, "std": [0.25] * 3, "crop_pct": 0.8, "license": "cc-by-nc-4.0"}
    config = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": cfg, "sslbench": {}}
    (folder / "config.json").write_text(json.dumps(config))


class Given(nn.Module):
    """Features that a test sets; notes what it was given."""

    def __init__(self, features=None):
        super().__init__()
        self.features = features

    def forward(self, images):
        self.images = images
        return images.mean(dim=(2, 3)) if self.features is None else self.features


class Teacher(Untrained):
    def __init__(self, features=None, input_spec=None):
        super().__init__(Given(features))
        self.own = input_spec

    @property
    def input_spec(self):
        return self.own


def build(teacher="raw-pixels", size=8, seed=0, **overrides):
    torch.manual_seed(seed)
    backbone = TinyBackbone()
    given = {"backbone": backbone, "image_size": size, "seed": seed, "mean": MEAN, "std": STD}
    return build_plugin("method", "distill", given={"teacher": str(teacher), **overrides}, **given)


def images(batch=6, size=8):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def plain_loss(predicted, target, share):
    """Cosine distance and smooth L1 with a beta of 1, one image and one dimension at a time."""
    distances, cosines = [], []
    for p, t in zip(predicted.tolist(), target.tolist(), strict=True):
        length = math.sqrt(sum(x * x for x in p)) * math.sqrt(sum(x * x for x in t))
        cosines.append(1 - sum(x * y for x, y in zip(p, t, strict=True)) / length)
        gaps = [abs(x - y) for x, y in zip(p, t, strict=True)]
        distances += [gap**2 / 2 if gap < 1 else gap - 0.5 for gap in gaps]
    return share * sum(cosines) / len(cosines) + (1 - share) * sum(distances) / len(distances)


@pytest.mark.parametrize("share", [0.9, 0.0, 1.0])
@pytest.mark.parametrize("standardise", [True, False])
def test_the_loss_equals_the_plain_formula(share, standardise):
    method = build(cosine_weight=share, standardise=standardise)
    view = 2 * images()
    predicted = method.head(method.backbone(view)).double()
    target = view.flatten(1).double()
    if standardise:
        target = (target - target.mean(0)) / (target.var(0, unbiased=False) + 1e-6).sqrt()
    loss, scalars = method([view], masks=(), progress=PROGRESS)
    assert loss.item() == pytest.approx(plain_loss(predicted, target, share), rel=1e-5)
    assert scalars["cosine_distance"].item() == pytest.approx(plain_loss(predicted, target, 1.0), rel=1e-5)
    assert scalars["smooth_l1"].item() == pytest.approx(plain_loss(predicted, target, 0.0), rel=1e-5)


def plain_similarity(predicted, target, keys, student, teacher):
    """Fang et al. 2021, equations 3 to 5, one image at a time."""
    losses = []
    for z, y in zip(predicted, target, strict=True):
        z, candidates = z / z.norm(), [y, *keys]
        expected = [math.exp((y @ d).item() / teacher) for d in candidates]
        given = [math.exp((z @ d).item() / student) for d in candidates]
        shares = zip(expected, given, strict=True)
        losses.append(-sum(e / sum(expected) * math.log(g / sum(given)) for e, g in shares))
    return sum(losses) / len(losses)


@pytest.mark.parametrize(("student", "teacher"), [(0.2, 0.01), (0.5, 0.1), (1.0, 1.0)])
def test_the_similarity_loss_equals_the_plain_formula(student, teacher):
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.randn(2, 4, 6, dtype=torch.float64, generator=generator)
    keys = torch.randn(9, 6, dtype=torch.float64, generator=generator)
    target, keys = (nn.functional.normalize(rows, dim=1) for rows in (target, keys))
    params = DistillParams(student_temperature=student, teacher_temperature=teacher)
    expected = plain_similarity(predicted, target, keys, student, teacher)
    assert similarity_loss(predicted, target, keys, params).item() == pytest.approx(expected, rel=1e-9)


def test_the_queue_takes_the_teachers_features_after_the_step_however_many_parts_the_batch_has():
    queues = []
    for parts in (1, 2):
        method = build(loss="similarity", queue_size=10, standardise=False)
        before = method.queue.keys.clone()
        for part in images().chunk(parts):
            method([part], masks=(), progress=PROGRESS)
        assert torch.equal(method.queue.keys, before)
        method.after_step(PROGRESS)
        queues.append(method.queue.keys.clone())
        assert torch.allclose(method.queue.keys[:6], nn.functional.normalize(images().flatten(1), dim=1))
        assert torch.equal(method.queue.keys[6:], before[6:])
    assert torch.equal(*queues)


def test_features_are_standardised_by_all_that_were_seen_and_not_in_eval_mode():
    standard = RunningStandard(3).train()
    batches = [torch.randn(5, 3, generator=torch.Generator().manual_seed(n)) * (n + 1) + n for n in range(4)]
    for number, batch in enumerate(batches):
        seen = torch.cat(batches[: number + 1])
        expected = (batch - seen.mean(0)) / (seen.var(0, unbiased=False) + 1e-6).sqrt()
        assert torch.allclose(standard(batch), expected, atol=1e-5)
    before = {name: value.clone() for name, value in standard.state_dict().items()}
    standard.eval()(batches[0])
    assert all(torch.equal(value, before[name]) for name, value in standard.state_dict().items())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_teacher_is_given_the_size_mean_and_deviation_that_it_wants(interpolation):
    wanted = InputSpec(12, (0.1, 0.2, 0.3), (0.5, 0.25, 0.125), crop=0.5, interpolation=interpolation)
    teacher = Teacher(input_spec=wanted)
    method = Distill(DistillParams(), teacher, BuildContext(8, backbone=TinyBackbone(), mean=MEAN, std=STD))
    pixels = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)).round()  # edges: bicubic overshoots
    view = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    method([view], masks=(), progress=PROGRESS)
    own = teacher.encoder.images * torch.tensor(wanted.std).view(3, 1, 1) + torch.tensor(wanted.mean).view(3, 1, 1)
    expected = nn.functional.interpolate(pixels, (12, 12), mode=interpolation, antialias=True).clamp(0, 1)
    assert own.shape == (4, 3, 12, 12)
    assert torch.allclose(own, expected, atol=1e-5)


def test_a_teacher_without_an_input_of_its_own_is_given_what_the_student_gets():
    teacher = Teacher()
    method = Distill(DistillParams(), teacher, BuildContext(8, backbone=TinyBackbone(), mean=MEAN, std=STD))
    method([images()], masks=(), progress=PROGRESS)
    assert torch.allclose(teacher.encoder.images, images(), atol=1e-6)


def test_the_teacher_is_frozen_moves_along_and_is_in_no_state(model):
    method = build(f"pretrained:path={model}").train()
    (teacher,) = method.learns_from
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    before = [p.clone() for p in teacher.parameters()]
    loss, _ = method([images()], masks=(), progress=PROGRESS)
    loss.backward()
    optimizer = torch.optim.SGD(method.param_groups(0.1), lr=0.1)
    optimizer.step()
    assert all(map(torch.equal, before, teacher.parameters()))
    held = {id(p) for p in teacher.parameters()}
    assert not held & {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {name.partition(".")[0] for name in method.state_dict()} == {"backbone", "head", "standard"}
    method.to(torch.float64)
    assert {p.dtype for p in teacher.parameters()} == {torch.float64}


def test_built_again_and_loaded_it_goes_on_as_it_was(model):
    first, second = build(f"pretrained:path={model}"), build(f"pretrained:path={model}", seed=1)
    first([images()], masks=(), progress=PROGRESS)
    second.load_state_dict(first.state_dict())
    losses = [method([images(5)], masks=(), progress=PROGRESS)[0] for method in (first, second)]
    assert torch.equal(*losses)


def test_the_student_begins_alike_whoever_teaches(model):
    teachers = "raw-pixels", f"pretrained:path={model}"
    first, second = (build(teacher).backbone.state_dict() for teacher in teachers)
    assert all(torch.equal(first[name], second[name]) for name in first)
    drawn = build("random-init", teacher_backbone="convnet-small", size=32)
    assert drawn.learns_from[0].encoder.feature_dim == drawn.head[-1].out_features


def test_the_arithmetic_of_the_teacher_is_counted(model):
    flat = {"head_layers": 1, "standardise": False}
    method = build(f"pretrained:path={model}", **flat)
    taught = step_flops_per_image(method, 4)
    method.learns_from = (Teacher(torch.zeros(4, 24, device="meta")),)
    assert taught > 2 * step_flops_per_image(method, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"teacher": "random-init"},
            "method 'distill': teacher = 'random-init' works on a backbone; name one: teacher",
        ),
        ({"teacher": "simclr"}, "method 'distill': teacher: simclr has to be trained first: sslbench run -m simclr, "),
        ({"teacher": "dinov9"}, "method 'distill': teacher: unknown method 'dinov9'"),
        ({"teacher": "pretrained:path=/gone"}, "/gone"),
        ({"teacher": "pretrained:hub=a/b:c"}, "method 'pretrained' of method 'distill' would run the code of a/b"),
        ({"teacher": "raw-pixels", "teacher_backbone": "nope"}, "method 'distill': teacher_backbone: unknown backbone"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused_in_one_line(given, words):
    with pytest.raises(UserError) as caught:
        build(**given)
    (line,) = caught.value.messages
    assert words in line


def test_the_usual_teacher_says_how_to_get_it(cache):
    with pytest.raises(UserError, match="vit_small_patch14_dinov2.lvd142m is not on this machine; --download fetches"):
        build("pretrained:preset=dinov2-vits14")
    assert cache.requests == []


@pytest.mark.parametrize("teacher", ["raw-pixels", "file"])
def test_it_keeps_the_contract_with_any_teacher(teacher, model):
    teacher = f"pretrained:path={model}" if teacher == "file" else teacher
    assert problems(SPEC, teacher=teacher) == []


def test_what_the_teacher_is_stands_in_the_plan_the_record_the_table_and_the_key(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "teacher").mkdir()
    write(tmp_path / "teacher", seed=0)
    method = f"distill:preset=quick,teacher=pretrained:path={tmp_path / 'teacher'}"
    suite = ["-d", "shapes", "-e", "knn", "-m", method, "-b", "convnet-small", "--seeds", "0", "--out", "runs"]
    suite += ["--epochs", "1", "--batch-size", "16", "--set", "train_images=32", "--set", "evaluate_on=validation"]
    assert call(["plan", *suite]) == 0
    assert "method 'pretrained' of method 'distill': licence cc-by-nc-4.0" in " ".join(capsys.readouterr().err.split())
    assert call(["run", *suite]) == 0
    assert f"{tmp_path / 'teacher'}: licence cc-by-nc-4.0" in " ".join(capsys.readouterr().out.split())
    assert call(["run", *suite, "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)["records"][0]
    weights = record["pretraining"]["weights"]
    assert (weights["licence"], weights["source"]) == ("cc-by-nc-4.0", str(tmp_path / "teacher"))
    assert (weights["input"]["size"], weights["input"]["mean"]) == (16, [0.3] * 3)
    write(tmp_path / "teacher", seed=1)
    assert call(["plan", *suite]) == 0
    assert "the weights changed" in capsys.readouterr().out
