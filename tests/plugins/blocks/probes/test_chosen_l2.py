"""What is held out, what is fitted to choose by, and which l2 that chooses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sslbench_plugins.blocks.probes import chosen_l2
from sslbench_plugins.blocks.probes.chosen_l2 import L2_VALUES, choose_l2, fit_with_chosen_l2, split_to_choose
from sslbench_plugins.blocks.probes.logistic import LogisticFit, StoppingRule, fit_logistic, fit_path


def noisy(samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three overlapping clouds in six dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 3
    centres = torch.randn(3, 6, generator=torch.Generator().manual_seed(99))
    return centres[labels] + 2 * torch.randn(samples, 6, generator=generator), labels


def test_held_out_are_a_fifth_of_every_class_and_never_all_of_it() -> None:
    labels = torch.tensor([0] * 100 + [1] * 7 + [2] * 3 + [3] * 2 + [4])
    held_out, fitted = split_to_choose(labels, 6, seed=0)
    assert [int(held_out[labels == c].sum()) for c in range(6)] == [20, 1, 1, 1, 0, 0]
    assert torch.equal(fitted, ~held_out)


def test_where_there_is_plenty_a_part_of_every_class_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen_l2, "PLENTY", 40)
    monkeypatch.setattr(chosen_l2, "PLENTY_A_CLASS", 10)
    labels = torch.tensor([0] * 100 + [1] * 50 + [2] * 3)
    held_out, fitted = split_to_choose(labels, 3, seed=0)
    assert not bool((held_out & fitted).any())
    assert [int(held_out[labels == c].sum()) for c in range(3)] == [20, 10, 1]
    # 40 of the 122 that are not held out, rounded up
    assert [int(fitted[labels == c].sum()) for c in range(3)] == [27, 14, 1]


def test_what_is_held_out_depends_on_the_seed() -> None:
    labels = torch.arange(4).repeat(50)
    assert torch.equal(split_to_choose(labels, 4, 1)[0], split_to_choose(labels, 4, 1)[0])
    assert not torch.equal(split_to_choose(labels, 4, 1)[0], split_to_choose(labels, 4, 2)[0])


class KnownLogits(LogisticFit):
    def logits(self, features: Tensor) -> Tensor:
        return self.weight


def with_known_accuracies(
    monkeypatch: pytest.MonkeyPatch, labels: Tensor, right: tuple[int, ...], converged: tuple[bool, ...] = (True,) * 6
) -> list[int]:
    """Fits whose logits are right on the first so many held-out samples; returns which l2 were tried."""
    tried: list[int] = []

    def path(*args: object, **kwargs: object) -> Iterator[LogisticFit]:
        for index, count in enumerate(right):
            tried.append(index)
            predicted = torch.where(torch.arange(len(labels)) < count, labels, (labels + 1) % 3)
            yield KnownLogits(F.one_hot(predicted, 3).T[None].float(), torch.zeros(1, 3, 1), converged[index], 1)

    monkeypatch.setattr(chosen_l2, "fit_path", path)
    return tried


@pytest.mark.parametrize(
    ("right", "best", "tried"),
    [
        ((10, 30, 40, 60, 59, 58), 3, 6),
        ((20, 55, 55, 54, 55, 53), 1, 6),
        ((0,) * 6, 0, 6),
        # 60 of 100 have a standard error of 4.9: 50 is more than two below.
        ((10, 60, 51, 50, 99, 99), 1, 4),
    ],
)
def test_the_best_on_held_out_samples_is_chosen_and_of_equals_the_strongest(
    monkeypatch: pytest.MonkeyPatch, right: tuple[int, ...], best: int, tried: int
) -> None:
    features, labels = noisy(200)
    held_out = torch.arange(200) < 100
    attempts = with_known_accuracies(monkeypatch, labels[held_out], right)
    l2, fit = choose_l2(features, labels, held_out, ~held_out, 3)
    assert l2 == L2_VALUES[best] / 2  # half of the samples were fitted
    assert int((fit.logits(features)[0].argmax(dim=0) == labels[held_out]).sum()) == right[best]
    assert len(attempts) == tried


def test_an_l2_without_an_optimum_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = noisy(200)
    held_out = torch.arange(200) < 100
    attempts = with_known_accuracies(
        monkeypatch, labels[held_out], (50, 60, 99, 99, 99, 99), (True, True, False, True, True, True)
    )
    assert choose_l2(features, labels, held_out, ~held_out, 3)[0] == L2_VALUES[1] / 2
    assert len(attempts) == 3


def test_the_choice_is_that_of_separate_fits() -> None:
    features, labels = noisy(300)
    held_out, fitted = split_to_choose(labels, 3, seed=1)
    right = [
        int(
            (
                fit_logistic(features[fitted], labels[fitted], 3, l2).logits(features[held_out])[0].argmax(0)
                == labels[held_out]
            ).sum()
        )
        for l2 in L2_VALUES
    ]
    l2, _ = choose_l2(features, labels, held_out, fitted, 3)
    assert right[L2_VALUES.index(round(l2 / 0.8, 10))] >= max(right) - 1


@pytest.mark.parametrize(("plenty", "off"), [(5000, 1e-5), (100, 1e-3)])
def test_the_final_fit_is_near_the_optimum_of_all_samples(
    monkeypatch: pytest.MonkeyPatch, plenty: int, off: float
) -> None:
    monkeypatch.setattr(chosen_l2, "PLENTY", plenty)
    features, labels = noisy(300)
    l2, fit = fit_with_chosen_l2(features, labels, 3, seed=0)
    exact = fit_logistic(features.double(), labels, 3, l2, stop=StoppingRule(1e-12))

    def objective(candidate: LogisticFit) -> float:
        weight, bias = candidate.weight[0].double(), candidate.bias[0].double()
        loss = F.cross_entropy((weight @ features.double().T + bias).T, labels)
        return float(loss + l2 / 2 * weight.square().sum())

    assert fit.converged
    assert objective(exact) - 1e-7 <= objective(fit) <= objective(exact) + off


def test_one_sample_a_class_leaves_none_to_choose_by() -> None:
    features, _ = noisy(3)
    assert fit_with_chosen_l2(features, torch.arange(3), 3, seed=0) is None


@pytest.mark.parametrize("samples", [200, 20], ids=["tall", "wide"])
def test_a_path_has_the_fits_of_its_l2_values(samples: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(samples, 40, generator=generator, dtype=torch.float64)
    labels = torch.arange(samples) % 3
    l2_values = (1.0, 1e-1, 1e-2)
    for fit, l2 in zip(fit_path(features, labels, 3, l2_values), l2_values, strict=True):
        alone = fit_logistic(features, labels, 3, l2, stop=StoppingRule(1e-12))
        torch.testing.assert_close(fit.weight, alone.weight, rtol=1e-2, atol=1e-3)
        assert fit.converged


def test_a_path_goes_on_with_what_it_learnt_about_the_curvature() -> None:
    features, labels = noisy(2000)
    features = features * torch.logspace(0, -2, 6)
    l2_values = (1e-2, 1e-3, 1e-4)
    fits = list(fit_path(features, labels, 3, l2_values))
    starts = [None, *fits[:-1]]
    alone = [fit_logistic(features, labels, 3, l2, init=at) for l2, at in zip(l2_values, starts, strict=True)]
    assert fits[0].steps == alone[0].steps
    assert sum(fit.steps for fit in fits[1:]) < sum(fit.steps for fit in alone[1:])
