"""LeJEPA in small: collapse without SIGReg, none with it and no teacher, and whether training loss ranks quality."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from sslbench import BuildContext, Claim, SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.blocks.studies.listed import OneOrMore, Several
from sslbench_plugins.blocks.studies.results import Row, SeedResults, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sslbench_plugins.simulators.lejepa_dynamics.training import Trained

SOURCE = "Balestriero and LeCun 2025, LeJEPA: no stop-gradient, no teacher, 94% rank correlation of loss and accuracy"
COLLAPSED, ALIVE = 0.1, 0.5
"""deviation of an embedding below which it has collapsed, and above which it has not"""
CORRELATED = 0.8
"""rank correlation from which on a low loss is a measure of quality, as for other methods' pretext losses"""
Share = Annotated[float, Field(gt=0, le=1, strict=True)]
Rate = Annotated[float, Field(gt=0, le=1, strict=True)]


class LeJEPAParams(SimulatorParams):
    """What the small networks are trained with."""

    shares: Annotated[tuple[Share, ...], Several, OneOrMore] = param(
        (0.02, 0.1), "shares of SIGReg in the loss, the paper's lambda, each in (0, 1], a+b+c; 0 is tried beside them"
    )
    rates: Annotated[tuple[Rate, ...], Several, OneOrMore] = param(
        (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2), "learning rates of Adam, each in (0, 1], a+b+c"
    )
    steps: int = param(60, "steps of each training", ge=5, le=10_000, unit="steps")


class LeJEPADynamics:
    """Every lambda with every learning rate, and no SIGReg with the largest of these, on the same points."""

    def __init__(self, params: LeJEPAParams, context: BuildContext) -> None:
        self.params = params
        rates = sorted(set(params.rates))
        self.recipes = [(0.0, rates[-1])] + [(share, rate) for share in sorted(set(params.shares)) for rate in rates]

    def run(self, seed: int) -> SimulationResult:
        # Imported here: listing simulators, and running the others, needs no torch.
        from sslbench_plugins.simulators.lejepa_dynamics.training import train

        seeds = range(seed, seed + self.params.claim_seeds)
        results = SeedResults(SOURCE, {one: train(one, self.recipes, self.params.steps) for one in seeds})
        rows: list[Row] = [asdict(trained) for trained in results.results[seed]]
        return SimulationResult(
            {"recipes": rows},
            [collapse(results), no_collapse(results), *ranking(results)],
            {"loss_and_accuracy": lambda: loss_figure(results.results[seed])},
            "Compare LeJEPA's losses among recipes of one lambda; across lambdas the loss is another.",
        )


def collapse(results: SeedResults[list[Trained]]) -> Claim:
    """Of the recipe without SIGReg."""
    return results.claim(
        "without SIGReg the embeddings collapse",
        f"lambda 0, the largest learning rate: standard deviation of the embedding below {COLLAPSED:g}",
        lambda trained: trained[0].deviation < COLLAPSED,
        f"deviation {results.spread(lambda trained: trained[0].deviation)}",
    )


def no_collapse(results: SeedResults[list[Trained]]) -> Claim:
    """Of all the others."""
    return results.claim(
        "SIGReg alone prevents collapse, without teacher and stop-gradient",
        f"every lambda above 0 and learning rate: standard deviation of the embedding above {ALIVE:g}",
        lambda trained: least(trained) > ALIVE,
        f"the smallest deviation of a recipe {results.spread(least)}",
    )


def least(trained: Sequence[Trained]) -> float:
    """Smallest deviation of a recipe with SIGReg."""
    return min(one.deviation for one in trained if one.share)


def ranking(results: SeedResults[list[Trained]]) -> list[Claim]:
    """Both readings: among recipes of one lambda, and among all of them."""
    return [rank_claim(results, "of one lambda", within), rank_claim(results, "of any lambda", across)]


def rank_claim(
    results: SeedResults[list[Trained]], words: str, measure: Callable[[Sequence[Trained]], float | None]
) -> Claim:
    """``measure``: the rank correlation of a seed, over the recipes that ``words`` say."""

    def ranks(trained: list[Trained]) -> bool | None:
        value = measure(trained)
        return None if value is None else round(value, 9) >= CORRELATED

    return results.claim(
        f"LeJEPA's training loss ranks quality (recipes {words})",
        f"rank correlation of low loss with accuracy over recipes {words} at least {CORRELATED:g}",
        ranks,
        f"rank correlation {results.spread(measure)}",
    )


def across(trained: Sequence[Trained]) -> float | None:
    """Rank correlation of all recipes with SIGReg."""
    return correlation(one for one in trained if one.share)


def within(trained: Sequence[Trained]) -> float | None:
    """Mean rank correlation of the recipes that share a lambda; None where one is not defined."""
    shares = sorted({one.share for one in trained if one.share})
    values = [correlation(one for one in trained if one.share == share) for share in shares]
    return None if None in values else fmean(value for value in values if value is not None)


def correlation(trained: Iterable[Trained]) -> float | None:
    """Spearman's, of low loss with accuracy; None for fewer than three recipes."""
    from scipy.stats import rankdata

    several = list(trained)
    if len(several) < 3:
        return None
    return pearson(rankdata([-one.loss for one in several]), rankdata([one.accuracy for one in several]))


def loss_figure(trained: Sequence[Trained]) -> Figure:
    """A point for each recipe, a line for each lambda."""
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for share in sorted({one.share for one in trained}):
        points = [(one.loss, one.accuracy) for one in trained if one.share == share]
        axes.plot(*zip(*points, strict=True), "o-", label=f"lambda {share:g}", linewidth=1.3)
    axes.set(xlabel="training loss", ylabel="accuracy of the nearest class mean", xscale="log")
    axes.legend(fontsize="small")
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="lejepa-dynamics", params=LeJEPAParams, build=LeJEPADynamics, citation=SOURCE)]
