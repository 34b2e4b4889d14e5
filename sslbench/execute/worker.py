"""The one function that every executor runs: train, extract, judge, and say what came out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sslbench.errors import SslbenchError
from sslbench.execute.built import build_chosen, build_dataset, build_method, input_of, method_spec_of
from sslbench.execute.curve import curve_of, has_curve
from sslbench.execute.executor import Emit, Evaluation, Event, Work
from sslbench.execute.failure import forget_cuda_cache, reason_of, status_of
from sslbench.execute.measured import described_metric, save_per_image
from sslbench.execute.outcome import NOT_MEASURED, described_features, described_training, status_of_features
from sslbench.hooks.contracts import EvaluationData, Metric
from sslbench.hooks.kinds import EvaluatorSpec, MethodSpec
from sslbench.hooks.params import MethodParams
from sslbench.hooks.registry import Registry, default_registry
from sslbench.measure.flops import step_flops_per_image
from sslbench.measure.machine import torch_facts
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.provenance import provenance
from sslbench.train.checkpoint import load_tensors, save_tensors, tensors_digest, weights_digest
from sslbench.train.data import Judged, judged
from sslbench.train.features import (
    Extraction,
    StaleFeatures,
    extract_all,
    load_extraction,
    save_extraction,
)
from sslbench.train.judged_model import TrainedModel
from sslbench.train.models import Method
from sslbench.train.pretrain import Pretraining, Schedule
from sslbench.train.randomness import seed_everything


def run_work(work: Work, emit: Emit, registry: Registry | None = None) -> None:
    """Do one piece of work. Each cell ends in a ``record`` event, whatever goes wrong.

    Only an interrupt goes through.
    """
    bench = Bench(work, emit, registry or default_registry())
    try:
        pretraining, found = bench.prepare()
    except Exception as error:
        for evaluation in work.evaluations:
            bench.emit_failure(evaluation, error, {**NOT_MEASURED, "key": work.key})
        forget_cuda_cache()
        return
    for evaluation in work.evaluations:
        try:
            bench.judge(evaluation, pretraining, found)
        except Exception as error:
            bench.emit_failure(evaluation, error, pretraining, found)


@dataclass
class Bench:
    """One piece of work on this machine."""

    work: Work
    emit: Emit
    registry: Registry
    model: TrainedModel | None = field(default=None, init=False)
    """made when the first evaluator asks for it"""

    @property
    def device(self) -> torch.device:
        return torch.device(self.work.training["device"])

    @property
    def files(self) -> PretrainingFiles:
        return pretraining_files(Path(self.work.out), self.work.key)

    def say(self, text: str, kind: Any = "stage") -> None:
        self.emit(Event(kind, {"text": text}))

    def built(self, kind: str, **context: Any) -> Any:
        """The plugin of one kind, built with its parameters; None where the work has none."""
        return build_chosen(self.work, self.registry, kind, **context)

    def prepare(self) -> tuple[dict[str, Any], Extraction]:
        """Train unless that is done, extract unless that is done. Answers the record's pretraining and the features."""
        if self.work.fresh:
            self.files.remove()
        facts = self.files.read_facts()
        if facts is not None and not has_curve(facts, self.work):
            facts = None
        if facts is not None and self.files.features.is_file():
            try:
                return facts, load_extraction(self.files.features, self.device, self.made_of())
            except (OSError, SafetensorError, KeyError):
                self.say(f"{self.files.features} cannot be read; features are extracted again", "warning")
            except StaleFeatures as error:
                self.say(f"{error}; features are extracted again", "warning")
        data = self.data()
        method = self.method(data)
        if facts is not None and self.load_weights(method):
            pretraining = facts
        else:
            pretraining = self.train(method, data)
        self.say("extracting features")
        found = extract_all(
            method.to(self.device).encoder,
            data,
            self.device,
            self.work.training["precision"],
            wanted=method.judged_input,
        )
        self.model = self.trained_model(method, data)
        made_of = {**self.made_of(method), "view": asdict(method.judged_input or data.judged_input)}
        self.keep(lambda: save_extraction(self.files.features, found, made_of), "features")
        return pretraining, found

    def made_of(self, method: Method | None = None) -> dict[str, str]:
        """What features come from: the key, which stands for data, view and settings; the precision; and the weights,
        those of ``method`` or, without one, those that are kept, if there are any that can be read."""
        facts = {"key": self.work.key, "precision": self.work.training["precision"]}
        if method is not None:
            return {**facts, "weights": weights_digest(method)}
        try:
            return {**facts, "weights": tensors_digest(load_tensors(self.files.weights)[0])}
        except (OSError, SafetensorError):
            return facts

    def data(self) -> Judged:
        self.say("reading images")
        settings = self.work.training
        splits = judged(
            build_dataset(self.work, self.registry),
            judge_on=settings["judge_on"],
            train_images=settings["train_images"],
            image_size=settings["image_size"],
        )
        for note in splits.notes:
            self.say(f"{self.work.plugins['dataset']['name']}: {note}", "warning")
        return splits

    def trained_model(self, method: Method, data: Judged) -> TrainedModel:
        settings = self.work.training
        return TrainedModel(
            method,
            lambda seed: self.method(data, seed),
            data,
            self.device,
            settings["precision"],
            self.work.mask_ratio,
        )

    def judged_model(self) -> TrainedModel:
        """The trained model, built again where only features were read. Raises SslbenchError without its weights."""
        if self.model is None:
            data = self.data()
            method = self.method(data)
            if self.method_spec().trains and not self.load_weights(method):
                raise SslbenchError(
                    f"{self.files.weights} is gone or cannot be read; --fresh trains this pretraining again"
                )
            self.model = self.trained_model(method, data)
        self.model.method.eval()
        return self.model

    def method(self, data: Judged, seed: int | None = None) -> Method:
        """The method on its backbone, initialised from the seed (default: the work's)."""
        return build_method(self.work, self.registry, data.image_size, data.classes, seed)

    def method_spec(self) -> MethodSpec:
        return method_spec_of(self.work, self.registry)

    def load_weights(self, method: Method) -> bool:
        try:
            tensors, _ = load_tensors(self.files.weights)
        except (OSError, SafetensorError):
            return False
        method.load_state_dict(tensors)
        return True

    def train(self, method: Method, data: Judged) -> dict[str, Any]:
        """Pretrain and keep the weights; a method that takes no step is only described."""
        spec = self.method_spec()
        if not spec.trains:
            facts = {**NOT_MEASURED, "key": self.work.key, "epochs": 0, "steps": 0, "seconds": 0.0}
            facts |= {"images_skipped": data.skipped, "input": input_of(data)}
            self.keep(lambda: self.files.write_facts(facts), "facts")
            return facts
        params = spec.params(**self.work.plugins["method"]["params"])
        assert isinstance(params, MethodParams)
        schedule = self.schedule()
        flops = step_flops_per_image(
            method,
            min(schedule.batch_size, len(data.pretraining)) // schedule.accumulate,
            self.work.mask_ratio,
            spec.uses_labels,
        )
        self.say("training")
        curve = curve_of(
            self.work,
            self.registry,
            data,
            lambda: self.trained_model(method, data),
            lambda text: self.say(text, "warning"),
        )
        pretraining = Pretraining(
            method,
            params,
            data,
            self.built("augmentation"),
            self.built("masking"),
            self.work.mask_ratio,
            schedule,
            self.files.checkpoint,
            on_sight=lambda sight: self.emit(Event("sight", asdict(sight))),
            on_warning=lambda text: self.say(text, "warning"),
            labels=spec.uses_labels,
            curve=curve,
        )
        trained = pretraining.run()
        if trained.batch_size < schedule.batch_size:
            self.say(f"batch of {trained.batch_size}: there are no more training images", "warning")
        facts = {
            **described_training(self.work.key, trained, flops),
            "images_skipped": data.skipped,
            "input": input_of(data),
        }
        if curve is not None:
            facts |= {"curve": curve.points, "curve_seconds": curve.seconds, "curve_asked": dict(curve.asked)}
        self.emit(Event("steps", {"key": self.work.key, "step_ms": list(trained.step_ms)}))
        self.keep(lambda: save_tensors(self.files.weights, method.state_dict(), {}), "weights")
        self.keep(lambda: self.files.write_facts(facts), "facts")
        self.files.checkpoint.unlink(missing_ok=True)
        return facts

    def schedule(self) -> Schedule:
        settings = self.work.training
        names = ("epochs", "batch_size", "precision", "compile", "time_limit", "checkpoint_every", "accumulate")
        return Schedule(**{name: settings[name] for name in names}, seed=self.work.seed, device=self.device)

    def keep(self, write: Any, what: str) -> None:
        """Write an artifact; a full disk costs the next run time, and this one nothing."""
        try:
            write()
        except OSError as error:
            self.say(f"{what} not kept: {error}", "warning")

    def judge(self, evaluation: Evaluation, pretraining: Mapping[str, Any], found: Extraction) -> None:
        """One evaluator over the features."""
        self.say(f"judging {evaluation.name}")
        spec = self.registry.get("evaluator", evaluation.name)
        evaluator = spec.build(spec.params(**evaluation.params))
        assert isinstance(spec, EvaluatorSpec)
        model = self.judged_model() if spec.uses_model else None
        before = weights_digest(model.method) if model else ""
        seed_everything(self.work.seed, "judge")
        data = EvaluationData(found.train, found.test, found.classes, self.work.seed, model)
        measured = list(evaluator.evaluate(data))
        metrics = [described_metric(metric) for metric in measured]
        if model and weights_digest(model.method) != before:
            self.model = None
            raise RuntimeError(f"evaluator {evaluation.name!r} changed the model that it judges")
        path = self.files.per_image(evaluation.template["cell"])
        self.keep(lambda: save_per_image(path, measured), "the metrics of each image")
        status, reason = status_of_features(pretraining, found)
        self.emit_record(evaluation, status, reason, dict(metrics), pretraining, found)

    def emit_failure(
        self,
        evaluation: Evaluation,
        error: Exception,
        pretraining: Mapping[str, Any],
        found: Extraction | None = None,
    ) -> None:
        """A record for a cell that did not get done, with its traceback."""
        status = status_of(error)
        headline = self.headline(evaluation)
        metrics = dict([described_metric(Metric(headline, None, reason=status))]) if headline else {}
        trace = "".join(traceback.format_exception(error))
        self.emit_record(evaluation, status, reason_of(error), metrics, pretraining, found, trace)

    def headline(self, evaluation: Evaluation) -> str:
        """The metric to rank by, which a failed cell lacks; empty where the evaluator itself failed to be made."""
        try:
            spec = self.registry.get("evaluator", evaluation.name)
            assert isinstance(spec, EvaluatorSpec)
            return spec.ranked_by(spec.params(**evaluation.params))
        except Exception:
            return ""

    def emit_record(
        self,
        evaluation: Evaluation,
        status: str,
        reason: str | None,
        metrics: dict[str, Any],
        pretraining: Mapping[str, Any],
        found: Extraction | None,
        trace: str | None = None,
    ) -> None:
        record = {
            **evaluation.template,
            "status": status,
            "reason": reason,
            "metrics": metrics,
            "headline": self.headline(evaluation) or None,
            "pretraining": dict(pretraining),
            "features": described_features(found),
            "traceback": trace,
            "provenance": provenance(torch_facts(str(self.device)), dict(self.work.distributions)),
        }
        self.emit(Event("record", record))
