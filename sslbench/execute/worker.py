"""The one function that every executor runs: train, extract, evaluate, and emit a record for each cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from sslbench.contracts.evaluator import EvaluatorSpec, Metric
from sslbench.contracts.executor import Emit, Evaluation, Work
from sslbench.evaluate.features import Extraction
from sslbench.evaluate.run import (
    Measured,
    ModelChanged,
    guarded,
    metric_value,
    run_evaluator,
    save_per_image,
    save_pictures,
)
from sslbench.execute.events import CellStarted, RecordMade, StageStarted
from sslbench.execute.outcome import reason_of, status_of, status_of_features, trace_of
from sslbench.execute.planned import check_planned
from sslbench.execute.pretraining import PretrainingJob
from sslbench.hooks.registry import Registry, default_registry
from sslbench.measure.machine import check_where_it_runs, torch_facts
from sslbench.plan.cell import Choice
from sslbench.plan.choose import sent
from sslbench.store.provenance import provenance
from sslbench.store.record import Record, Status, TrainingFacts


def run_work(work: Work, emit: Emit, registry: Registry | None = None) -> None:
    """Do one piece of work. Each cell ends in a ``RecordMade`` event, whatever goes wrong but an interrupt."""
    job = PretrainingJob(work, emit, registry or default_registry())
    cells = [CellJob(job, evaluation) for evaluation in work.evaluations]
    try:
        check_planned(work, job.registry)
        check_where_it_runs(work.training.device, work.training.precision)
        training, features = job.prepare()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        for cell in cells:
            cell.emit_failure(error, TrainingFacts(key=work.key))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return
    for cell in cells:
        try:
            cell.run(training, features)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            cell.emit_failure(error, training, features)


@dataclass
class CellJob:
    """One evaluation of a pretraining, and its record."""

    job: PretrainingJob
    evaluation: Evaluation

    @cached_property
    def evaluator(self) -> Choice[EvaluatorSpec]:
        """The evaluator with its parameters. Raises what keeps it from being loaded."""
        return sent("evaluator", self.evaluation.evaluator, self.job.registry)

    def run(self, training: TrainingFacts, features: Extraction) -> None:
        """Evaluate and emit the record. Raises whatever the evaluator raises, and ModelChanged."""
        name = self.evaluation.evaluator.name
        self.job.emit(CellStarted(self.evaluation.cell))
        self.job.emit(StageStarted(f"evaluating {name}"))
        model = self.job.trained_model() if self.evaluator.spec.uses_model else None
        try:
            with guarded(model, f"evaluator {name!r}"):
                measured = run_evaluator(self.evaluator, features, model, self.job.work.seed, self.job.shown)
        except ModelChanged:
            self.job.model = None
            raise
        self._keep(measured)
        status, reason = status_of_features(training, features)
        values = {metric.name: metric_value(metric) for metric in measured.metrics}
        record = self._record(status, training, features)
        self.job.emit(RecordMade(replace(record, reason=reason, metrics=values)))

    def _keep(self, measured: Measured) -> None:
        """Store what is no part of the record; what cannot be stored costs nothing else."""
        cache, cell = self.job.cache, self.evaluation.cell
        path = cache.files.per_image(cell)
        cache.save(lambda: save_per_image(path, measured.metrics), "the metrics of each image")
        cache.save(lambda: save_pictures(cache.files, cell, measured.pictures), "pictures")

    def emit_failure(self, error: BaseException, training: TrainingFacts, features: Extraction | None = None) -> None:
        """Emit the record of a cell that failed, with its traceback."""
        status, headline = status_of(error), self.headline()
        metrics = {headline: metric_value(Metric(headline, None, reason=status))} if headline else {}
        record = self._record(status, training, features)
        self.job.emit(RecordMade(replace(record, reason=reason_of(error), metrics=metrics, traceback=trace_of(error))))

    def headline(self) -> str:
        """The metric to rank by; empty where the evaluator cannot be loaded."""
        try:
            return self.evaluator.spec.ranked_by(self.evaluator.params)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return ""

    def _record(self, status: Status, training: TrainingFacts, features: Extraction | None) -> Record:
        work = self.job.work
        names: dict[str, Any] = {kind: plugin.name for kind, plugin in work.plugins.items()}
        return Record(
            self.evaluation.cell,
            status,
            seed=work.seed,
            **names,
            mask_ratio=work.mask_ratio,
            evaluator=self.evaluation.evaluator.name,
            params=self.evaluation.params,
            headline=self.headline() or None,
            pretraining=training,
            features=features.facts if features else None,
            data=self.job.data_facts,
            provenance=provenance(torch_facts(work.training.device, work.training.precision), dict(work.distributions)),
        )
