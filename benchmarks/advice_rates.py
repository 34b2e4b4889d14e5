"""How often chance passes for a difference in the advice of ``recipe`` and in the marks of tables.

``python benchmarks/advice_rates.py [FOLDERS]``: so many simulated folders of each sort (default 200). Features are
drawn, not extracted; from there on it is the code of ``recipe`` itself: the probe, the choice on held-out training
images, the tests and the rule. Three sorts:

- ``chance``: labels that have nothing to do with the features; sizes, classes, skew and number of models vary.
- ``no gain``: features that tell the classes, of every model as well as of its network untrained and of the pixels.
- ``10 points``: a model whose probe gets 10 points more than the best baseline, on 500 images to evaluate on.

``tables``: rows of equal models on one seed, and on several; wrong is any row that is told apart from the best.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch

from sslbench.advise.defaults import PROBE, RAW_PIXELS
from sslbench.advise.evidence import EvaluationImages, evidence_of
from sslbench.advise.frozen import Session, Settings
from sslbench.advise.rows import Row, RowKind, choose, evaluated, probe_on_held_out
from sslbench.advise.verdict import Advice, decide
from sslbench.contracts.evaluator import EvaluationData, FeatureSet
from sslbench.contracts.plugin import BuildContext
from sslbench.evaluate.features import Extraction
from sslbench.hooks.registry import default_registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.report.aggregate import aggregate
from sslbench.report.view import View
from sslbench.statistics.shares import accuracy
from sslbench.store.artifacts import pretraining_files
from sslbench.store.record import MetricValue, Record, TrainingFacts
from sslbench.train.checkpoint import save_tensors

Generator = numpy.random.Generator
BETTER = ("stop", "fine-tune", "more labels")
"""verdicts that say that the model is worth something"""
DIM = 24
"""of all features"""


@dataclass(frozen=True)
class Folder:
    """Labels of a simulated folder, the fifth to evaluate on last, and how hard each image is."""

    labels: Any
    test: int
    classes: int
    noise: Any
    """``[N, DIM]``, shared by all features: what is hard for one model is hard for others"""

    @classmethod
    def drawn(cls, generator: Generator, images: int, shares: Sequence[float], test: int = 0) -> Folder:
        """Classes in these shares, at least two images of each in both parts."""
        test = test or images // 5
        parts = []
        for count in (images - test, test):
            spare = generator.choice(len(shares), count - 2 * len(shares), p=shares)
            parts.append(generator.permutation(numpy.concatenate([numpy.arange(len(shares)).repeat(2), spare])))
        labels = numpy.concatenate(parts)
        return cls(labels, test, len(shares), generator.normal(size=(images, DIM)))

    def features(self, generator: Generator, signal: float) -> Extraction:
        """Of one model: class means this far apart in noise that is half the image's and half the model's."""
        means = signal * numpy.linalg.qr(generator.normal(size=(DIM, DIM)))[0][: self.classes]
        own = generator.normal(size=self.noise.shape)
        values = torch.tensor(means[self.labels] + (self.noise + own) / 2**0.5, dtype=torch.float32)
        labels = torch.tensor(self.labels)
        cut = len(labels) - self.test
        sets = FeatureSet(values[:cut], labels[:cut]), FeatureSet(values[cut:], labels[cut:])
        return Extraction(*sets, None, None, None)


@dataclass(frozen=True)
class Advisor:
    """The code of ``recipe`` on features that are there."""

    session: Session

    def advice(self, folder: Folder, features: Sequence[tuple[str, RowKind, Extraction]]) -> Advice:
        """``features``: label, kind and features of models, baselines and untrained networks, in this order."""
        rows = [self.row(*one) for one in features]
        best = choose(rows)
        test = folder.labels[-folder.test :]
        fewest = int(numpy.bincount(folder.labels[: -folder.test]).min())
        names = [str(number) for number in range(folder.classes)]
        images = EvaluationImages(test, names, fewest, held_out=True)
        predicted = None if best is None else self.predicted(features[best][2])
        return decide(evidence_of(rows, best, images, predicted))

    def row(self, label: str, kind: RowKind, extraction: Extraction) -> Row:
        """As measured; of an untrained network, whose label ends so, with the model that it is of."""
        of = label.removesuffix(", untrained") if kind == "untrained" else ""
        row = evaluated(Row(label, kind, of=of), extraction, [Reference(PROBE)], self.session)
        if kind == "untrained":
            return row
        chosen_by = probe_on_held_out(extraction.train, extraction.classes, 0, self.session.registry)
        return Row(**{**vars(row), "chosen_by": chosen_by})

    def predicted(self, extraction: Extraction) -> Any:
        """The class that the probe gives each test image."""
        probe = chosen("evaluator", Reference(PROBE), self.session.registry).build(BuildContext())
        layer = probe.fit(EvaluationData(extraction.train, extraction.test, extraction.classes, 0))
        return layer.logits(extraction.test.features).argmax(dim=1).numpy()


def folder_of_chance(advisor: Advisor, generator: Generator) -> Advice:
    """Any folder, and features that know nothing of it."""
    classes = int(generator.choice([2, 2, 3, 5]))
    shares = numpy.ones(classes)
    shares[0] = generator.choice([1.0, 1.0, 4.0, 25.0])
    images = int(generator.choice([100, 200, 400, 1000]))
    folder = Folder.drawn(generator, images, shares / shares.sum())
    models = int(generator.integers(0, 4))
    return advisor.advice(folder, candidates(folder, generator, models, 0.0, 0.0))


def folder_without_gain(advisor: Advisor, generator: Generator) -> Advice:
    """The classes can be told, by pixels as well as by models."""
    images, signal = int(generator.choice([200, 500, 1000])), float(generator.choice([1.0, 1.5]))
    folder = Folder.drawn(generator, images, [0.25] * 4)
    return advisor.advice(folder, candidates(folder, generator, int(generator.integers(1, 4)), signal, signal))


def folder_with_ten_points(advisor: Advisor, generator: Generator) -> Advice:
    """80% against 70% (:func:`levels` measures both)."""
    folder = Folder.drawn(generator, 1500, [0.5, 0.5], test=500)
    return advisor.advice(folder, candidates(folder, generator, int(generator.integers(1, 4)), *TEN_POINTS))


TEN_POINTS = 1.24, 0.79
"""signals of the model and of its baselines"""


def candidates(
    folder: Folder, generator: Generator, models: int, signal: float, baseline: float
) -> list[tuple[str, RowKind, Extraction]]:
    """Models with one signal; pixels, and every model's network untrained, with another."""
    kinds: list[tuple[str, RowKind, float]] = [(f"model {number}", "model", signal) for number in range(models)]
    kinds.append((RAW_PIXELS, "baseline", baseline))
    kinds += [(f"model {number}, untrained", "untrained", baseline) for number in range(models)]
    return [(label, kind, folder.features(generator, strength)) for label, kind, strength in kinds]


def levels(advisor: Advisor, generator: Generator) -> list[float]:
    """What the probe gets with each of ``TEN_POINTS``, on 20,000 images that it has not seen."""
    folder = Folder.drawn(generator, 21_000, [0.5, 0.5], test=20_000)
    rows = [advisor.row("any", "untrained", folder.features(generator, signal)) for signal in TEN_POINTS]
    return [row.linear or 0.0 for row in rows]


def tells_apart(generator: Generator, folder: Path, rows: int, images: int, gap: float) -> bool:
    """Whether a row of a table of models, one seed each, is told apart from the best: all are equal but the first,
    which is better where ``gap`` is not 0."""
    hard = generator.normal(size=images)
    records = []
    for number in range(rows):
        right = (generator.normal(size=images) + hard > -1.2 - gap * (number == 0)).astype(numpy.uint8)
        record = record_of(number, 0, float(right.mean()))
        path = pretraining_files(folder, f"{number}").per_image(record.cell)
        save_tensors(path, {"linear_top1": torch.from_numpy(right)}, {})
        records.append(record)
    return is_told_apart(records, folder)


def record_of(row: int, seed: int, value: float) -> Record:
    """One seed of one row."""
    return Record(
        cell=f"{row} {seed}" if seed else f"{row}",
        status="done",
        method=f"method {row}",
        seed=seed,
        evaluator="linear-probe",
        dataset="any",
        params={kind: {} for kind in ("method", "dataset", "evaluator", "training")},
        metrics={"linear_top1": MetricValue(value)},
        pretraining=TrainingFacts(key=f"{row} {seed}" if seed else f"{row}"),
    )


def is_told_apart(records: Sequence[Record], folder: Path | None) -> bool:
    """Whether any row is told apart from the best."""
    view = View(aggregate(records), folder)
    marked = view.ranking.best["linear_top1"] | view.ranking.ties["linear_top1"]
    return len(marked) < len(view.aggregate.recipes)


def tables_over_seeds(generator: Generator, count: int, deviations: Sequence[float], seeds: int) -> int:
    """How many of so many tables of equal rows, whose seeds deviate so much, tell a row apart from the best."""
    hits = 0
    for _ in range(count):
        values = generator.normal(size=(len(deviations), seeds)) * numpy.array(deviations)[:, None]
        cells = numpy.ndenumerate(values + generator.normal(size=seeds))
        hits += is_told_apart([record_of(row, seed, float(value)) for (row, seed), value in cells], None)
    return hits


def tables_that_tell(generator: Generator, count: int, rows: int, gap: float = 0.0) -> int:
    """How many of so many tables, on 500 images, tell a row apart from the best."""
    with tempfile.TemporaryDirectory() as folder:
        return sum(tells_apart(generator, Path(folder), rows, 500, gap) for _ in range(count))


def verdicts(make: Callable[[Advisor, Generator], Advice], advisor: Advisor, count: int) -> Counter[str]:
    """Of so many folders, each from a seed of its own."""
    return Counter(make(advisor, numpy.random.default_rng(seed)).verdict for seed in range(count))


def rate(hits: int, count: int) -> str:
    """A share of so many, with its interval."""
    share = accuracy(hits / count, count)
    return f"{share.value:.1%} (95% interval {share.low:.1%} to {share.high:.1%})"


def report(count: int) -> Iterator[str]:
    """Lines with every rate and its interval."""
    advisor = Advisor(Session(Settings("cpu", "fp32"), default_registry(), lambda event: None))
    yield f"{count} folders of each sort"
    for name, make in (
        ("chance", folder_of_chance),
        ("no gain", folder_without_gain),
        ("10 points", folder_with_ten_points),
    ):
        found = verdicts(make, advisor, count)
        better = sum(found[verdict] for verdict in BETTER)
        all_of_them = ", ".join(f"{number} {verdict}" for verdict, number in found.most_common())
        yield f"{name}: {rate(better, count)} say that the model is worth something ({all_of_them})"
    model, baseline = levels(advisor, numpy.random.default_rng(0))
    yield f"10 points: the model's probe gets {model:.1%}, the baselines' {baseline:.1%}, on 20,000 other images"
    for rows in (2, 4, 8, 16):
        wrong = tables_that_tell(numpy.random.default_rng(rows), count, rows)
        yield f"tables of {rows} equal rows: {rate(wrong, count)} tell one apart from the best"
    for seeds in (3, 5):
        for rows in (2, 4, 8, 16):
            for name, loud in (("", 0), (", half of them five times as loud", rows // 2), (", two of them so loud", 2)):
                deviations = [5.0] * loud + [1.0] * (rows - loud)
                wrong = tables_over_seeds(numpy.random.default_rng(rows), 10 * count, deviations, seeds)
                yield f"{seeds} seeds, {rows} equal rows{name}: {rate(wrong, 10 * count)} tell one apart from the best"


if __name__ == "__main__":
    begin = time.perf_counter()
    for line in report(int(sys.argv[1]) if len(sys.argv) > 1 else 200):
        print(line, flush=True)
    print(f"{time.perf_counter() - begin:.0f} s")
