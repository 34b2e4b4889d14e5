"""One pretraining on this machine: trained unless that is done, its features extracted unless they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from sslbench.contracts.executor import Emit, Work
from sslbench.contracts.method import Method, MethodSpec
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.evaluate.curve import CurveEvaluation
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import Extraction, extract_all
from sslbench.execute.events import StageStarted, StepsTimed, Warned
from sslbench.execute.kept import KeptArtifacts
from sslbench.execute.outcome import input_of, training_facts
from sslbench.hooks.registry import Registry
from sslbench.measure.flops import step_flops_per_image
from sslbench.plan.cell import Choice
from sslbench.plan.choose import sent
from sslbench.store.record import TrainingFacts
from sslbench.train.build import build_dataset, build_method
from sslbench.train.curve import Curve
from sslbench.train.data import Splits, make_splits
from sslbench.train.task import Callbacks, LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer


@dataclass
class PretrainingJob:
    """One piece of work: the pretraining that its evaluations share."""

    work: Work
    emit: Emit
    registry: Registry
    _model: TrainedModel | None = field(default=None, init=False)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return torch.device(self.work.training.device)

    @cached_property
    def kept(self) -> KeptArtifacts:
        """What it stores, and what an earlier run left."""
        return KeptArtifacts(self.work, self.warn)

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        """Its plugins by kind. Raises what keeps one from being loaded."""
        return {kind: sent(kind, plain, self.registry) for kind, plain in self.work.plugins.items()}

    @property
    def method_choice(self) -> Choice[MethodSpec]:
        """The method."""
        return self.choices["method"]

    def report(self, text: str) -> None:
        """Emit that the part of the work that ``text`` names begins."""
        self.emit(StageStarted(text))

    def warn(self, text: str) -> None:
        """Emit a warning."""
        self.emit(Warned(text))

    def prepare(self) -> tuple[TrainingFacts, Extraction]:
        """Train and extract, or read what an earlier run left. Raises whatever keeps that from being done."""
        if self.work.fresh:
            self.kept.files.remove()
        facts = self.kept.facts()
        features = self.kept.features() if facts else None
        if facts and features:
            return facts, features
        data = self.data()
        method = self.built(data)
        if facts is None or not self.kept.load_weights(method):
            facts = self.train(method, data)
        return facts, self.extract(method, data)

    def data(self) -> Splits:
        """The images that it trains on and is evaluated on. Raises UserError where they cannot be read."""
        self.report("reading images")
        settings = self.work.training
        splits = make_splits(
            build_dataset(self.choices["dataset"], self.work.download),
            evaluate_on=settings.evaluate_on,
            train_images=settings.train_images,
            image_size=settings.image_size,
        )
        for note in splits.notes:
            self.warn(f"{self.choices['dataset'].name}: {note}")
        return splits

    def built(self, data: Splits, seed: int | None = None) -> Method:
        """The method on its backbone, initialised from the seed (default: the work's)."""
        context = BuildContext(
            image_size=data.image_size,
            classes=data.classes,
            seed=self.work.seed if seed is None else seed,
            download=self.work.download,
            mask_ratio=self.work.mask_ratio,
            device=self.work.training.device,
        )
        return build_method(self.method_choice, self.choices.get("backbone"), context)

    def train(self, method: Method, data: Splits) -> TrainingFacts:
        """Pretrain and keep the weights; for a method that takes no step there are only facts."""
        if not self.method_choice.spec.trains:
            facts = TrainingFacts(
                key=self.work.key, epochs=0, steps=0, seconds=0.0, images_skipped=data.skipped, input=input_of(data)
            )
            self.kept.keep_facts(facts)
            return facts
        task, settings = self._task(method, data), self._settings()
        batch = min(settings.batch_size, len(data.pretraining)) // settings.accumulate
        flops = step_flops_per_image(method, batch, task.mask_ratio, task.labels)
        self.report("training")
        curve = self._curve(method, data)
        trained = Trainer(task, settings, Callbacks(self.emit, self.warn, curve)).run()
        if trained.batch_size < settings.batch_size:
            self.warn(f"batch of {trained.batch_size}: there are no more training images")
        facts = training_facts(self.work.key, trained, flops, data, curve)
        self.emit(StepsTimed(self.work.key, trained.step_ms))
        self.kept.keep_weights(method)
        self.kept.keep_facts(facts)
        self.kept.files.checkpoint.unlink(missing_ok=True)
        return facts

    def extract(self, method: Method, data: Splits) -> Extraction:
        """Extract the features and keep them, and the model for the evaluators that ask for it."""
        self.report("extracting features")
        features = extract_all(
            method.to(self.device).encoder,
            data,
            self.device,
            self.work.training.precision,
            input_spec=method.input_spec,
        )
        self._model = self._model_of(method, data)
        self.kept.keep_features(features, method, method.input_spec or data.input_spec)
        return features

    def trained_model(self) -> TrainedModel:
        """The trained model, built again where only features were read. Raises SslbenchError without its weights."""
        if self._model is None:
            data = self.data()
            method = self.built(data)
            if self.method_choice.spec.trains and not self.kept.load_weights(method):
                raise SslbenchError(
                    f"{self.kept.files.weights} is gone or cannot be read; --fresh trains this pretraining again"
                )
            self._model = self._model_of(method, data)
        self._model.method.eval()
        return self._model

    def forget_model(self) -> None:
        """The next evaluator gets the model as it was trained, built again."""
        self._model = None

    def _settings(self) -> LoopSettings:
        return LoopSettings.of(self.work.training, self.work.seed, self.kept.files.checkpoint)

    def _task(self, method: Method, data: Splits) -> TrainingTask:
        params, masking = self.method_choice.params, self.choices.get("masking")
        assert isinstance(params, MethodParams)
        return TrainingTask(
            method=method,
            params=params,
            masking=masking.build(BuildContext()) if masking else None,
            mask_ratio=self.work.mask_ratio,
            labels=self.method_choice.spec.uses_labels,
            data=data,
            augmentation=self.choices["augmentation"].build(BuildContext()),
        )

    def _curve(self, method: Method, data: Splits) -> Curve | None:
        request = self.work.curve
        if request is None:
            return None
        evaluators = [sent("evaluator", plain, self.registry) for plain in request.evaluators]
        evaluate = CurveEvaluation(evaluators, data, self.work.seed, lambda: self._model_of(method, data), self.warn)
        return Curve(request.every, evaluate, request.asked)

    def _model_of(self, method: Method, data: Splits) -> TrainedModel:
        return TrainedModel(
            method,
            lambda seed: self.built(data, seed),
            data,
            self.device,
            self.work.training.precision,
            self.work.mask_ratio,
        )
