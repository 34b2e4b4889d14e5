from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from sslbench import UserError
from sslbench.claims.simulate import simulate
from sslbench_plugins.simulators.collapse import training
from sslbench_plugins.simulators.collapse.claims import all_claims
from sslbench_plugins.simulators.collapse.training import Streams, World, barlow_twins, train_codes, train_pairs, vicreg

SHORT = {"steps": 120, "epochs": 3, "images": 64, "batch": 32, "queue": 32}


def run(seed=42, **given):
    (simulation,) = simulate(["collapse"], seed=seed, given={"claim_seeds": 2, **SHORT, **given})
    return simulation.result


@pytest.fixture(scope="module")
def result():
    return run()


def test_a_seed_gives_the_same_whatever_seeds_are_beside_it():
    alone, together = Streams([7], 1).normal(3, 2), Streams([5, 7], 1).normal(3, 2)
    assert torch.equal(alone[0], together[1])
    one, two = (train_pairs(seeds, 10, 32, vicreg()) for seeds in ([7], [5, 7]))
    for measure, (value,) in one.items():
        assert two[measure][1] == pytest.approx(value, rel=1e-4), measure


def plain_vicreg(a, b):
    """Bardes et al. 2022, algorithm 1, with the halves of the authors' code."""

    def terms(z):
        z = z - z.mean(0)
        matrix = z.T @ z / (len(z) - 1)
        squares = sum(matrix[i, j] ** 2 for i in range(len(matrix)) for j in range(len(matrix)) if i != j)
        return functional.relu(1 - (z.var(0) + 1e-4).sqrt()).mean(), squares / len(matrix)

    (va, ca), (vb, cb) = terms(a), terms(b)
    return 25 * (a - b).square().mean() + 25 * (va + vb) / 2 + ca + cb


def test_losses_equal_plain_formulas():
    a, b = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(vicreg()(a, b), plain_vicreg(a, b), rtol=1e-5)
    za, zb = ((z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt() for z in (a, b))
    matrix = za.T @ zb / 9
    plain = sum((1 - matrix[i, j]) ** 2 if i == j else 0.3 * matrix[i, j] ** 2 for i in range(5) for j in range(5))
    assert torch.allclose(barlow_twins(0.3)(a, b), plain, rtol=1e-5)


def test_measures_of_embeddings_that_are_known():
    """Of an encoder that passes its first inputs on: each image has them as its embedding."""
    world = World.of([0], 64)
    world.weights = [torch.zeros(1, 16, 32), torch.zeros(1, 32, 8)]
    for i in range(4):  # relu(x) - relu(-x) = x
        world.weights[0][0, i, 2 * i], world.weights[0][0, i, 2 * i + 1] = 1, -1
        world.weights[1][0, 2 * i, i], world.weights[1][0, 2 * i + 1, i] = 1, -1
    known = world.images[0, :, :4]
    measured = {key: value for key, (value,) in training.measures(world, [0]).items()}
    variances = known.var(0)
    assert measured["deviation"] == pytest.approx(math.sqrt(variances.sum() / 8), rel=1e-5)
    directions = known / known.norm(dim=1, keepdim=True)
    assert measured["spread"] == pytest.approx(math.sqrt(directions.var(0, unbiased=False).sum()), rel=1e-5)
    covariance = torch.cov(known.T)
    assert measured["dimensions"] == pytest.approx(
        (covariance.trace() ** 2 / covariance.square().sum()).item(), rel=1e-5
    )
    right = 0
    for index, point in enumerate(known):
        order = sorted((other for other in range(64) if other != index), key=lambda o: (known[o] - point).norm().item())
        labels = [world.labels[other].item() for other in order[:5]]
        right += min(range(8), key=lambda c: (-labels.count(c), c)) == world.labels[index].item()
    assert measured["accuracy"] == pytest.approx(right / 64)
    # Views add a deviation of 1 to each input: half of what two images differ by on average is their variance.
    assert measured["views_apart"] == pytest.approx(math.sqrt(4 / 8 / (2 * variances.sum() / 8)), rel=0.1)


def test_swav_with_one_large_step_equals_a_plain_one():
    """One epoch of one batch: the loss by hand, and Adam's first step, which is the rate times the gradient's sign."""
    seeds = [3]
    world, noise = World.of(seeds, 32), Streams(seeds, 1)
    order = Streams(seeds, 2).orders(32)[0]
    prototypes = functional.normalize(Streams(seeds, 3).normal(16, 8), dim=2)[0]
    a, b = (functional.normalize(world.views(world.images[:, order], noise), dim=2)[0] for _ in range(2))
    with torch.no_grad():
        codes = [training.sinkhorn(z @ prototypes.T, 0.05, 3) for z in (a, b)]
    loss = -sum((q * (z @ prototypes.T / 0.1).log_softmax(1)).sum(1).mean() for q, z in zip(codes, (b, a), strict=True))
    gradients = torch.autograd.grad(loss, world.weights)
    with torch.no_grad():
        for weight, gradient in zip(world.weights, gradients, strict=True):
            weight -= training.RATE * gradient.sign() * (gradient.abs() > 1e-6)
    expected = {key: value for key, (value,) in training.measures(world, seeds).items()}
    measured = {key: value for key, (value,) in train_codes(seeds, 1, 32, 32).items()}
    assert {key: measured[key] for key in expected} == pytest.approx(expected, rel=1e-3)


def test_the_table_has_a_row_for_each_training(result):
    rows = {row["trained"]: row for row in result.tables["trained"]}
    assert next(iter(rows)) == "untrained"
    assert len(rows) == 11
    assert rows["swav"]["prototypes_used"] > 8
    assert (rows["vicreg"]["prototypes_used"], rows["vicreg"]["reason"]) == (None, "it has no prototypes")


def test_terms_that_are_taken_away_show_in_a_few_steps(result):
    verdicts = {claim.statement: claim.verdict for claim in result.claims}
    assert len(verdicts) == 8
    assert verdicts["VICReg without its covariance term collapses to few dimensions"] == "holds"
    assert verdicts["Barlow Twins without redundancy reduction has dimensions that repeat each other"] == "holds"


def fake(**changes):
    """What is measured where every sentence is true, but for what is changed."""
    same = {"deviation": 1.0, "spread": 1.0, "dimensions": 8.0, "views_apart": 0.2, "accuracy": 0.9}
    measured = {
        "untrained": same | {"accuracy": 0.5},
        "vicreg": same,
        "vicreg without variance": same | {"deviation": 0.01},
        "vicreg without covariance": same | {"dimensions": 1.0},
        "vicreg without invariance": same | {"views_apart": 0.9},
        "barlow-twins": same,
        "barlow-twins without redundancy": same | {"dimensions": 1.0},
        "swav": same | {"prototypes_used": 15.0},
        "swav without equal shares": same | {"prototypes_used": 1.0},
        "swav small batch": same | {"accuracy": 0.6},
        "swav small batch and queue": same,
    }
    return {name: values | changes.get(name, {}) for name, values in measured.items()}


@pytest.mark.parametrize(
    ("training", "change", "failing"),
    [
        (None, {}, None),
        ("vicreg without variance", {"deviation": 0.06}, 0),
        ("vicreg without covariance", {"dimensions": 4.0}, 1),
        ("vicreg without invariance", {"views_apart": 0.4}, 2),
        ("vicreg without invariance", {"deviation": 0.5}, 2),
        ("barlow-twins", {"spread": 0.5}, 3),
        ("barlow-twins", {"accuracy": 0.4}, 3),
        ("barlow-twins without redundancy", {"dimensions": 4.0}, 4),
        ("swav without equal shares", {"prototypes_used": 2.0}, 5),
        ("swav", {"prototypes_used": 8.0}, 5),
        ("swav", {"accuracy": 0.93}, 6),
        ("swav small batch", {"accuracy": 0.89}, 7),
    ],
)
def test_a_verdict_is_that_of_the_numbers(training, change, failing):
    verdicts = [claim.verdict for claim in all_claims({1: fake(**({training: change} if training else {}))})]
    assert verdicts == ["fails" if place == failing else "holds" for place in range(8)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"images": 64, "batch": 65}, "batch = 65: there are 64 images; allowed: 2 to 64"),
        ({"images": 64, "small_batch": 100}, "small_batch = 100: there are 64 images; allowed: 2 to 64"),
        ({"redundancy_weight": 0}, "redundancy_weight = 0: input should be greater than 0"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    with pytest.raises(UserError) as caught:
        run(**given)
    assert words in caught.value.messages[0]
