"""What keeps embeddings from collapsing: a small network trained by VICReg, Barlow Twins and SwAV, parts taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sslbench import BuildContext, SimulationResult, SimulatorParams, SimulatorSpec, UserError, hookimpl, param
from sslbench_plugins.blocks.studies.results import Row, new_figure
from sslbench_plugins.simulators.collapse.claims import FLAT, Measured, all_claims

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES = {
    "deviation": "deviation",
    "spread": "spread of directions",
    "dimensions": "effective dimensions",
    "views_apart": "views apart",
    "accuracy": "neighbours of one cluster",
}
CITATION = "Bardes et al. 2022 (VICReg); Zbontar et al. 2021 (Barlow Twins); Caron et al. 2020 (SwAV)"


class CollapseParams(SimulatorParams):
    """The images and how long they are trained on."""

    images: int = param(128, "vectors in eight clusters that stand for images", ge=32, le=2048)
    steps: int = param(200, "steps of VICReg and Barlow Twins, on all images at once", ge=1, le=10_000, unit="steps")
    epochs: int = param(25, "epochs of SwAV", ge=1, le=1000, unit="epochs")
    redundancy_weight: float = param(
        0.05, "Barlow Twins' lambda; the paper's 0.0051 is for 8,192 dimensions, here are 8", gt=0, le=100
    )
    batch: int = param(64, "SwAV's large batch", ge=2, le=2048, unit="images")
    small_batch: int = param(4, "SwAV's small batch", ge=2, le=2048, unit="images")
    queue: int = param(128, "embeddings in the queue of SwAV's small batch", ge=1, le=2048)


class Collapse:
    """Every training of a seed begins with the same weights and sees the same images."""

    def __init__(self, params: CollapseParams, context: BuildContext) -> None:
        for name in ("batch", "small_batch"):
            given = getattr(params, name)
            if given > params.images:
                raise UserError(f"{name} = {given}: there are {params.images} images; allowed: 2 to {params.images}")
        self.params = params

    def run(self, seed: int) -> SimulationResult:
        seeds = range(seed, seed + self.params.claim_seeds)
        trained = self.trainings(seeds)
        measured = {
            one: {name: {key: values[place] for key, values in of.items()} for name, of in trained.items()}
            for place, one in enumerate(seeds)
        }
        rows = rows_of(measured[seed])
        return SimulationResult(
            {"trained": rows}, all_claims(measured), {"trained": lambda: collapse_figure(rows)}, advice(measured)
        )

    def trainings(self, seeds: range) -> dict[str, Mapping[str, list[float]]]:
        """What is measured after each training, of all seeds."""
        from sslbench_plugins.simulators.collapse import training

        p = self.params
        losses = {
            "untrained": None,
            "vicreg": training.vicreg(),
            "vicreg without variance": training.vicreg(variance=0),
            "vicreg without covariance": training.vicreg(covariances=0),
            "vicreg without invariance": training.vicreg(invariance=0),
            "barlow-twins": training.barlow_twins(p.redundancy_weight),
            "barlow-twins without redundancy": training.barlow_twins(0),
        }
        codes: dict[str, dict[str, int]] = {
            "swav": {"batch": p.batch},
            "swav without equal shares": {"batch": p.batch, "iterations": 0},
            "swav small batch": {"batch": p.small_batch},
            "swav small batch and queue": {"batch": p.small_batch, "queue": p.queue},
        }
        return {
            **{name: training.train_pairs(seeds, p.steps, p.images, loss) for name, loss in losses.items()},
            **{name: training.train_codes(seeds, p.epochs, p.images, **given) for name, given in codes.items()},
        }


def rows_of(measured: Measured) -> list[Row]:
    """A row for each training."""
    return [
        {
            "trained": name,
            **{key: of[key] for key in MEASURES},
            "prototypes_used": of.get("prototypes_used"),
            "reason": "" if "prototypes_used" in of else "it has no prototypes",
        }
        for name, of in measured.items()
    ]


def advice(measured: Mapping[int, Measured]) -> str:
    """Counts what collapsed without any of its losses saying so."""
    flat = {name for of in measured.values() for name, values in of.items() if values["deviation"] < FLAT}
    return (
        "Watch how far embeddings spread and over how many dimensions, which no loss says by itself: here"
        f" {' and '.join(sorted(flat)) or 'nothing'} came to a deviation below {FLAT:g}."
    )


def collapse_figure(rows: list[Row]) -> Figure:
    """A panel for each measure, a bar for each training."""
    figure = new_figure(14, 4)
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, (key, label) in zip(panels, MEASURES.items(), strict=True):
        axes.barh(range(len(rows)), [row[key] for row in rows], color="#4477aa")
        axes.set_xlabel(label)
    panels[0].set_yticks(range(len(rows)), [row["trained"] for row in rows])
    panels[0].invert_yaxis()
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="collapse", params=CollapseParams, build=Collapse, citation=CITATION)]
