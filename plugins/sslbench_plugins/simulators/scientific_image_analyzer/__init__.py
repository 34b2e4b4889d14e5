"""Eight channels with eight units: what normalisation keeps of them, and what it does to a vegetation index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslbench import BuildContext, SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.listed import Words
from sslbench_plugins.blocks.studies.results import row_of_pictures
from sslbench_plugins.simulators.scientific_image_analyzer.channels import NIR, RED, Channels, channel_source
from sslbench_plugins.simulators.scientific_image_analyzer.claims import SOURCE, claims
from sslbench_plugins.simulators.scientific_image_analyzer.tables import VEGETATION, Measured, measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class AnalyzerParams(SimulatorParams):
    """Whose channels, and which of them are red and near infrared."""

    image: str = param(
        "", "your own [channels, rows, columns]: .npy, or GeoTIFF (.tif); empty: eight drawn ones", unit="path"
    )
    names: Words = param((), "names of your channels, a+b+c; empty: channel-0 and so on")
    red: int = param(RED, "the channel of yours that is red, counted from 0", ge=0)
    nir: int = param(NIR, "the channel of yours that is near infrared, counted from 0", ge=0)


class Analyzer:
    """Raw, percentile-clipped and z-scored channels, measured."""

    def __init__(self, params: AnalyzerParams, context: BuildContext) -> None:
        self.params = params
        self.source = channel_source(params.image, params.names, params.red, params.nir)

    def run(self, seed: int) -> SimulationResult:
        # Nothing is drawn for a user's image: every seed would be the same.
        seeds = range(seed, seed + (self.params.claim_seeds if self.source.image is None else 1))
        measured = {s: measure(self.source, s, self.params.red, self.params.nir) for s in seeds}
        tables = measured[seed]
        return SimulationResult(
            {"channels": tables.channels, "ndvi": list(tables.ndvi.values()), "correlations": tables.correlations},
            claims(measured),
            {"ndvi": lambda: ndvi_figure(tables.indices)},
            advice(tables),
        )


def advice(tables: Measured) -> str:
    """What normalisation does to the vegetation share."""
    shares = {version: row["vegetation_share"] for version, row in tables.ndvi.items()}
    if None in shares.values():
        return "Compute an index on physical values, before anything is normalised; here it is not defined everywhere."
    return (
        "Compute indices such as NDVI on physical values, before anything is normalised: the share of pixels above"
        f" {VEGETATION:g} is {shares['raw']:.2f} raw, {shares['clipped']:.2f} clipped and"
        f" {shares['z-scored']:.2f} z-scored."
    )


def ndvi_figure(indices: dict[str, Channels]) -> Figure:
    """NDVI ``[H, W]`` by version, cut to -1..1, with one colour bar."""
    pictures = {name: index.clip(-1, 1) for name, index in indices.items()}
    figure = row_of_pictures(pictures, (3, 3.2), cmap="RdYlGn", vmin=-1, vmax=1)
    figure.colorbar(figure.axes[-1].images[0], ax=figure.axes, label="NDVI (beyond -1..1 cut)", shrink=0.9)
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="scientific-image-analyzer", params=AnalyzerParams, build=Analyzer, citation=SOURCE)]
