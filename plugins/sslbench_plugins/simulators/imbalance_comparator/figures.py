"""The figure: sensitivity and specificity of each strategy over the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sslbench_plugins.blocks.studies.figures import new_figure
from sslbench_plugins.simulators.imbalance_comparator.operating_point import (
    WANTED,
    operating_points,
    sensitivity_and_specificity,
)
from sslbench_plugins.simulators.imbalance_comparator.strategies import Fits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def operating_points_figure(fits: Fits, count: int) -> Figure:
    """Over as many thresholds; a dashed line at the highest that reaches the wanted sensitivity."""
    thresholds = np.linspace(0, 1, count)
    figure = new_figure(10, 3.6)
    for axes, (name, fit) in zip(figure.subplots(1, 3, sharey=True), fits.by_strategy.items(), strict=True):
        sensitivity, specificity = sensitivity_and_specificity(fit.probability, fits.positive, thresholds)
        axes.plot(thresholds, sensitivity, label="sensitivity", color="#cc6677")
        axes.plot(thresholds, specificity, label="specificity", color="#4477aa")
        axes.axhline(WANTED, color="grey", linewidth=0.8, linestyle=":", label=f"{WANTED:.0%}")
        point = operating_points(fit.probability, fits.positive, thresholds)["useful"]
        if point:
            axes.axvline(point.threshold, color="black", linewidth=0.8, linestyle="--", label="highest that reaches it")
        axes.set(title=name, xlabel="threshold")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize="small")
    return figure
