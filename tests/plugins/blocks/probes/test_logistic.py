"""The optimum against scikit-learn's, and the properties that make it one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from sslbench.testing.pretended_gpu import DEVICE, PretendedGpu
from sslbench_plugins.blocks.probes import logistic
from sslbench_plugins.blocks.probes.logistic import (
    LogisticFit,
    StoppingRule,
    fit_logistic,
    inverse_hessian_product,
    scaled,
    with_more_l2,
)
from sslbench_plugins.blocks.probes.logistic_objective import Objective, dot

L2_VALUES = [10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4]


def make_problem(samples: int, width: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Correlated, uncentred features with a spectrum that falls as 1 / rank, and labels that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
    scale = torch.arange(1, width + 1).double().rsqrt()
    features = torch.randn(samples, width, generator=generator, dtype=torch.float64) * scale @ basis
    teacher = 3 * torch.randn(width, classes, generator=generator, dtype=torch.float64)
    noise = -torch.rand(samples, classes, generator=generator, dtype=torch.float64).log().log1p()
    labels = (features @ teacher + noise).argmax(dim=1)
    labels[:classes] = torch.arange(classes)
    return features + 0.5, labels


def objective(weight: Tensor, bias: Tensor, features: Tensor, labels: Tensor, l2: float) -> float:
    """The documented formula, in float64: weight ``[C, D]``, bias ``[C]``."""
    logits = features.double() @ weight.double().T + bias.double()
    return float(F.cross_entropy(logits, labels) + l2 / 2 * weight.double().square().sum())


def objective_of(fit: LogisticFit, features: Tensor, labels: Tensor, l2: float, index: int = 0) -> float:
    return objective(fit.weight[index], fit.bias[index, :, 0], features, labels, l2)


def sklearn_optimum(features: Tensor, labels: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    model = LogisticRegression(C=1 / (len(features) * l2), tol=1e-10, max_iter=50_000)
    model.fit(features.double().numpy(), labels.numpy())
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # two classes: one row of differences, which the penalty halves between the classes
        raise AssertionError("the binary form of scikit-learn penalises another objective")
    return torch.from_numpy(np.asarray(weight)), torch.from_numpy(np.asarray(bias))


@pytest.mark.parametrize("l2", L2_VALUES)
@pytest.mark.parametrize(("samples", "width", "classes"), [(300, 20, 5), (40, 100, 4)], ids=["tall", "wide"])
def test_float64_finds_the_optimum_of_scikit_learn(samples: int, width: int, classes: int, l2: float) -> None:
    features, labels = make_problem(samples, width, classes)
    weight, bias = sklearn_optimum(features, labels, l2)
    fit = fit_logistic(features, labels, classes, l2, stop=StoppingRule(1e-13, max_steps=5000))
    assert fit.converged
    assert objective_of(fit, features, labels, l2) == pytest.approx(
        objective(weight, bias, features, labels, l2), abs=1e-9
    )
    torch.testing.assert_close(fit.weight[0], weight, rtol=1e-4, atol=1e-4)
    # With more columns than samples the bias is all but free: a gradient of 1e-8 leaves it open by 3e-4.
    torch.testing.assert_close(fit.bias[0, :, 0], bias - bias.mean(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("l2", L2_VALUES)
@pytest.mark.parametrize("shape", [(300, 20, 5), (40, 100, 4), (500, 8, 60)], ids=["tall", "wide", "many-classes"])
def test_float32_ends_within_the_tolerance(shape: tuple[int, int, int], l2: float) -> None:
    features, labels = make_problem(*shape)
    fit = fit_logistic(features.float(), labels, shape[2], l2)
    best = objective(*sklearn_optimum(features, labels, l2), features, labels, l2)
    assert fit.converged
    assert fit.weight.dtype == torch.float32
    assert -1e-7 <= objective_of(fit, features, labels, l2) - best <= max(1e-6, 1e-9 / l2)


@pytest.mark.parametrize("l2", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("samples", [20, 40, 300])
def test_a_wide_tolerance_is_kept_too(samples: int, l2: float) -> None:
    """The bias must not be forgotten: where the weights' gradient is small its own may still be far off."""
    features, labels = make_problem(samples, 100, 4)
    fit = fit_logistic(features.float(), labels, 4, l2, stop=StoppingRule(1e-4))
    best = objective(*sklearn_optimum(features, labels, l2), features, labels, l2)
    assert objective_of(fit, features, labels, l2) - best <= 1e-4


@pytest.mark.parametrize("l2", L2_VALUES)
def test_float32_predicts_as_scikit_learn_does(l2: float) -> None:
    features, labels = make_problem(900, 20, 5)
    train, test = features[:300], features[300:]
    weight, bias = sklearn_optimum(train, labels[:300], l2)
    fit = fit_logistic(train.float(), labels[:300], 5, l2)
    same = fit.logits(test.float())[0].argmax(dim=0) == (test @ weight.T + bias).argmax(dim=1)
    assert same.double().mean() > 0.99


@pytest.mark.parametrize("samples", [30, 8], ids=["tall", "wide"])
def test_a_batch_of_problems_is_fitted_as_each_alone(samples: int) -> None:
    problems = [make_problem(samples, 12, 3, seed) for seed in range(4)]
    features, labels = torch.stack([f for f, _ in problems]), torch.stack([y for _, y in problems])
    together = fit_logistic(features, labels, 3, 1e-2, stop=StoppingRule(1e-12))
    for index, (own, own_labels) in enumerate(problems):
        alone = fit_logistic(own, own_labels, 3, 1e-2, stop=StoppingRule(1e-12))
        torch.testing.assert_close(together.weight[index], alone.weight[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.bias[index], alone.bias[0], rtol=1e-4, atol=1e-5)


def test_two_classes_have_opposite_weights_and_the_binary_optimum() -> None:
    features, labels = make_problem(200, 6, 2)
    fit = fit_logistic(features, labels, 2, 1e-2, stop=StoppingRule(1e-13))
    torch.testing.assert_close(fit.weight[0, 0], -fit.weight[0, 1])
    # scikit-learn fits the difference w of the two rows, whose squared norm is twice theirs together: half the l2.
    binary = LogisticRegression(C=1 / (200 * 0.5e-2), tol=1e-10, max_iter=10_000).fit(features.numpy(), labels.numpy())
    torch.testing.assert_close(
        fit.weight[0, 1] - fit.weight[0, 0], torch.from_numpy(binary.coef_[0]), rtol=1e-4, atol=1e-4
    )


def test_the_gradient_at_the_optimum_is_zero_by_autograd() -> None:
    features, labels = make_problem(120, 10, 4)
    fit = fit_logistic(features, labels, 4, 1e-3, stop=StoppingRule(1e-14, max_steps=5000))
    weight, bias = fit.weight[0].requires_grad_(), fit.bias[0].requires_grad_()
    loss = F.cross_entropy((weight @ features.T + bias).T, labels) + 1e-3 / 2 * weight.square().sum()
    loss.backward()
    assert weight.grad.abs().max() < 1e-7
    assert bias.grad.abs().max() < 1e-7


@pytest.mark.parametrize("samples", [200, 20], ids=["tall", "wide"])
def test_a_start_at_the_optimum_takes_no_step_and_one_nearby_takes_fewer(samples: int) -> None:
    features, labels = make_problem(samples, 30, 3)
    cold = fit_logistic(features, labels, 3, 1e-3)
    warm = fit_logistic(features, labels, 3, 1e-3, init=fit_logistic(features, labels, 3, 2e-3))
    assert fit_logistic(features, labels, 3, 1e-3, init=cold).steps == 0
    assert 0 < warm.steps < cold.steps
    assert objective_of(warm, features, labels, 1e-3) == pytest.approx(
        objective_of(cold, features, labels, 1e-3), abs=1e-4
    )


def test_every_step_goes_downhill_where_whole_steps_overshoot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confident, many-class problems at weak l2 are where the step of 1 is far too long."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1000, 32, generator=generator)
    labels = (features @ (8 * torch.randn(32, 50, generator=generator))).argmax(dim=1)
    monkeypatch.setattr(logistic, "RELATIVE_TOLERANCE", 0.0)
    values = [
        objective_of(fit_logistic(features, labels, 50, 1e-4, stop=stop), features, labels, 1e-4)
        for stop in (StoppingRule(1e-9, max_steps=steps) for steps in range(0, 60, 3))
    ]
    assert all(later < earlier + 1e-6 for earlier, later in pairwise(values))
    assert values[-1] < 0.2 * values[0]


@pytest.mark.parametrize("sharpness", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("right", [51, 60, 90, 99])
@pytest.mark.parametrize("start", [0.0, -5.0, -20.0, 20.0])
def test_a_step_wins_a_fifth_of_what_the_largest_curvature_allows_or_more(
    sharpness: float, right: int, start: float
) -> None:
    """A hundred equal samples, all as surely of one class at the start: where they bend, Newton's step is too long."""
    labels = (torch.arange(100) < right).long()[None]
    objective = Objective(torch.ones(1, 100, 1, dtype=torch.float64), labels, 2).with_l2(0.0)
    direction = torch.tensor([[[0.0, 0.0], [sharpness, 0.0]]], dtype=torch.float64)
    theta = direction * start / sharpness
    point = objective.at(theta, objective.logits(theta))
    value, slope = objective.value(theta, point.logits), dot(point.gradient, direction)
    _, bound, end = objective.step(point, value, direction, slope)
    reached = objective.value(end.theta, end.logits)
    assert float(reached) <= float(value - slope**2 / (2 * sharpness**2 / 4) / 5)
    assert float(reached) <= float(bound) <= float(value)


def test_a_step_is_newtons_corrected_once_and_ends_at_the_gradient_of_autograd() -> None:
    features, labels = make_problem(30, 4, 3)
    generator = torch.Generator().manual_seed(1)
    theta, direction = torch.randn(2, 1, 3, 5, generator=generator, dtype=torch.float64)

    def loss(parameters: Tensor) -> Tensor:
        logits = parameters[:, :-1] @ features.T + parameters[:, -1:]
        return F.cross_entropy(logits.T, labels) + 0.1 / 2 * parameters[:, :-1].square().sum()

    def slope_and_curvature(along: float) -> list[float]:
        length = torch.tensor(along, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(loss(theta[0] + length * direction[0]), length, create_graph=True)
        return [float(slope.detach()), float(torch.autograd.grad(slope, length)[0])]

    slope, curvature = slope_and_curvature(0.0)
    newton = slope / curvature
    roots = np.roots([slope_and_curvature(-newton)[0] / newton**2, -curvature, slope])
    expected = min(roots, key=lambda root: abs(root - newton))
    objective = Objective(features[None], labels[None], 3).with_l2(0.1)
    logits = objective.logits(theta)
    value = objective.value(theta, logits)
    moved, bound, end = objective.step(objective.at(theta, logits), value, direction, torch.full_like(value, slope))
    torch.testing.assert_close(moved, expected * direction)
    assert expected != pytest.approx(newton, rel=1e-3)
    reached = end.theta[0].requires_grad_()
    (gradient,) = torch.autograd.grad(loss(reached), reached)
    torch.testing.assert_close(end.gradient[0], gradient)
    torch.testing.assert_close(
        torch.cat([value, bound]).flatten(), torch.stack([loss(theta[0]), loss(reached)]).detach()
    )


def make_updates(objective: Objective, count: int) -> tuple[Tensor, Tensor]:
    """``[B, count, C, D + 1]``: steps from where a search begins, and what they did to the gradient."""
    generator = torch.Generator().manual_seed(2)
    shape = (len(objective.features), objective.classes, objective.features.shape[2] + 1)
    thetas = torch.randn(count + 1, *shape, generator=generator, dtype=torch.float64).cumsum(dim=0)
    gradients = [objective.at(theta, objective.logits(theta)).gradient for theta in thetas]
    return thetas.diff(dim=0).transpose(0, 1), torch.stack(gradients).diff(dim=0).transpose(0, 1)


def two_problems(l2: float) -> Objective:
    problems = [make_problem(30, 4, 3, seed) for seed in range(2)]
    features, labels = torch.stack([f for f, _ in problems]), torch.stack([y for _, y in problems])
    return Objective(features, labels, 3).with_l2(l2)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_compact_form_is_the_recursion_of_bfgs(count: int) -> None:
    objective = two_problems(0.1)
    steps, changes = make_updates(objective, count)
    if count == 4:
        changes[1, 2] *= -1  # rounding ate it: no effect
    gradient = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    updates = scaled(torch.stack([steps, changes], dim=1).flatten(3))
    result = inverse_hessian_product(objective, gradient, updates)
    identity = torch.eye(15, dtype=torch.float64)
    for index in range(2):
        rows = identity.view(15, 3, 5).repeat(2, 1, 1, 1).transpose(0, 1)
        inverse = torch.stack([objective.precondition(row)[index].flatten() for row in rows])
        for step, change in zip(steps[index].flatten(1), changes[index].flatten(1), strict=True):
            if step @ change > 0:
                side = identity - torch.outer(change, step) / (step @ change)
                inverse = side.T @ inverse @ side + torch.outer(step, step) / (step @ change)
        torch.testing.assert_close(result[index].flatten(), inverse @ gradient[index].flatten())


def test_updates_at_another_l2_are_those_of_its_gradients() -> None:
    weak, strong = (torch.stack(make_updates(two_problems(l2), 3), dim=1).flatten(3) for l2 in (0.1, 0.5))
    torch.testing.assert_close(with_more_l2(scaled(weak), 0.4, 3), scaled(strong))
    torch.testing.assert_close(with_more_l2(scaled(strong), -0.4, 3), scaled(weak))


@pytest.mark.pretended
def test_a_step_asks_a_gpu_for_85_operations_and_every_third_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Tensor] = []
    monkeypatch.setattr(logistic, "bool", lambda number: bool(reads.append(number)), raising=False)
    launches = []
    for steps in (3, 9):
        with PretendedGpu() as gpu:
            features, labels = torch.empty(500, 32, device=DEVICE), torch.zeros(500, dtype=torch.long, device=DEVICE)
            fit_logistic(features, labels, 10, 1e-3, stop=StoppingRule(max_steps=steps))
        launches.append(gpu.launches.total())
        assert not gpu.work.waits
    assert launches[1] - launches[0] <= 6 * 85
    assert launches[0] <= 3 * 85 + 100
    assert len(reads) == 2 + 4


def test_where_the_curvature_cannot_be_factored_no_fit_converges() -> None:
    features, labels = make_problem(30, 4, 3)
    both = torch.stack([features, features / 1e3])
    fit = fit_logistic(both, torch.stack([labels, labels]), 3, -1e-3, stop=StoppingRule(gain=1.0, max_steps=2))
    assert not fit.converged
    assert fit.weight.isnan().all(dim=(1, 2)).tolist() == [False, True]


def test_a_fit_without_anything_to_learn_does_not_disturb_those_beside_it() -> None:
    features, labels = make_problem(60, 5, 2)
    both = torch.stack([torch.zeros_like(features), features])
    balanced = torch.arange(60) % 2
    fit = fit_logistic(both.float(), torch.stack([balanced, labels]), 2, 1e-3)
    assert fit.converged
    assert fit.weight[0].abs().max() == 0
    alone = fit_logistic(features.float(), labels, 2, 1e-3)
    torch.testing.assert_close(fit.weight[1], alone.weight[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("l2", [1e-1, 1e-2, 1e-3])
def test_features_far_from_zero_end_within_the_tolerance(l2: float) -> None:
    features, labels = make_problem(200, 8, 3)
    best = objective(*sklearn_optimum(features, labels, l2), features, labels, l2)  # shifts do not change it
    features = features + 20
    fit = fit_logistic(features.float(), labels, 3, l2)
    assert fit.converged
    assert objective_of(fit, features, labels, l2) <= best + 1e-6


@pytest.mark.parametrize("l2", [1e-2, 1e-4])
def test_a_fit_that_ends_by_its_gain_takes_fewer_steps_and_is_near_the_optimum(l2: float) -> None:
    features, labels = make_problem(400, 20, 5)
    exact = fit_logistic(features.float(), labels, 5, l2)
    warm = fit_logistic(features.float(), labels, 5, l2, stop=StoppingRule(gain=1e-4))
    assert warm.converged
    assert warm.steps < exact.steps
    assert 0 < objective_of(warm, features, labels, l2) - objective_of(exact, features, labels, l2) < 2e-3


def test_a_fit_that_runs_out_of_steps_has_not_converged() -> None:
    features, labels = make_problem(300, 20, 5)
    fit = fit_logistic(features, labels, 5, 1e-4, stop=StoppingRule(max_steps=3))
    assert not fit.converged
    assert fit.steps == 3


def test_features_without_any_variation_predict_the_largest_class() -> None:
    labels = torch.tensor([0, 1, 1, 1, 2, 2])
    fit = fit_logistic(torch.zeros(6, 3), labels, 3, 1e-2)
    assert fit.converged
    assert fit.weight.abs().max() == 0
    torch.testing.assert_close(fit.bias[0, :, 0].softmax(dim=0), torch.tensor([1, 3, 2]) / 6, atol=2e-2, rtol=0)


@pytest.mark.parametrize("l2", [1e-1, 1e-2, 1e-3])
def test_a_few_extreme_samples_do_not_break_the_fit(l2: float) -> None:
    features, labels = make_problem(400, 10, 3)
    features[::80] *= 1000
    features = (features - features.mean(dim=0)) / features.std(dim=0)
    best = objective(*sklearn_optimum(features, labels, l2), features, labels, l2)
    fit = fit_logistic(features.float(), labels, 3, l2)
    assert fit.converged
    assert objective_of(fit, features, labels, l2) <= best + 1e-4


def test_one_column_is_enough() -> None:
    features = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]])
    fit = fit_logistic(features, torch.tensor([0, 0, 1, 1]), 2, 1e-2)
    assert fit.logits(features)[0].argmax(dim=0).tolist() == [0, 0, 1, 1]


def test_the_same_problem_gives_the_same_bits() -> None:
    features, labels = make_problem(200, 20, 5)
    first, second = (fit_logistic(features.float(), labels, 5, 1e-3) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(300, 20, 5), (40, 100, 4)], ids=["tall", "wide"])
def test_cuda_finds_the_optimum_of_the_cpu(shape: tuple[int, int, int]) -> None:
    features, labels = make_problem(*shape)
    there = fit_logistic(features.float().cuda(), labels.cuda(), shape[2], 1e-3)
    here = fit_logistic(features, labels, shape[2], 1e-3, stop=StoppingRule(1e-12))
    assert there.converged
    on_cpu = there._replace(weight=there.weight.cpu(), bias=there.bias.cpu())
    assert objective_of(on_cpu, features, labels, 1e-3) - objective_of(here, features, labels, 1e-3) <= 1e-4
