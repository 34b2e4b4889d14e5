"""One pretraining on this machine: trained unless that is done, its features extracted unless they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sslbench.contracts.executor import Emit, Work
from sslbench.contracts.method import Method, MethodSpec
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.evaluate.curve import CurveEvaluation
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import Extraction, StaleFeatures, extract_all, load_extraction, save_extraction
from sslbench.execute.events import StageStarted, StepsTimed, Warned
from sslbench.execute.outcome import input_of, training_facts
from sslbench.hooks.registry import Registry
from sslbench.measure.flops import step_flops_per_image
from sslbench.plan.cell import Choice
from sslbench.plan.choose import sent
from sslbench.store.artifacts import PretrainingFiles, pretraining_files
from sslbench.store.record import TrainingFacts
from sslbench.train.build import build_dataset, build_method
from sslbench.train.checkpoint import load_tensors, save_tensors, tensors_digest, weights_digest
from sslbench.train.curve import Curve
from sslbench.train.data import Splits, make_splits
from sslbench.train.task import Callbacks, LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer


@dataclass
class PretrainingJob:
    """Everything that the evaluations of one pretraining share."""

    work: Work
    emit: Emit
    registry: Registry
    _model: TrainedModel | None = field(default=None, init=False)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return torch.device(self.work.training.device)

    @property
    def files(self) -> PretrainingFiles:
        """Its artifacts."""
        return pretraining_files(Path(self.work.out), self.work.key)

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        """Its plugins by kind. Raises what keeps one from being loaded."""
        return {kind: sent(kind, plain, self.registry) for kind, plain in self.work.plugins.items()}

    @property
    def method_choice(self) -> Choice[MethodSpec]:
        """The method."""
        return self.choices["method"]

    def report(self, text: str) -> None:
        """Say what is done now."""
        self.emit(StageStarted(text))

    def warn(self, text: str) -> None:
        """Say what a user should know."""
        self.emit(Warned(text))

    def keep(self, write: Callable[[], object], what: str) -> None:
        """Write an artifact; a full disk costs the next run time, and this one nothing."""
        try:
            write()
        except OSError as error:
            self.warn(f"{what} not kept: {error}")

    def prepare(self) -> tuple[TrainingFacts, Extraction]:
        """Train and extract, or read what an earlier run left. Raises whatever keeps that from being done."""
        if self.work.fresh:
            self.files.remove()
        facts = self.finished_training()
        kept = self.kept_features() if facts else None
        if facts and kept:
            return facts, kept
        data = self.data()
        method = self.built(data)
        if facts is None or not self.load_weights(method):
            facts = self.train(method, data)
        self.report("extracting features")
        features = extract_all(
            method.to(self.device).encoder,
            data,
            self.device,
            self.work.training.precision,
            input_spec=method.input_spec,
        )
        self._model = self.model_of(method, data)
        made_of = {**self.made_of(method), "view": asdict(method.input_spec or data.input_spec)}
        self.keep(lambda: save_extraction(self.files.features, features, made_of), "features")
        return facts, features

    def finished_training(self) -> TrainingFacts | None:
        """What an earlier run left of it, if it has the curve that is asked for."""
        facts, curve = self.files.read_facts(), self.work.curve
        if facts is None or (curve is not None and facts.curve_asked != dict(curve.asked)):
            return None
        return facts

    def kept_features(self) -> Extraction | None:
        """Features that an earlier run left, if they were made of the same."""
        if not self.files.features.is_file():
            return None
        try:
            return load_extraction(self.files.features, self.device, self.made_of())
        except (OSError, SafetensorError, KeyError):
            self.warn(f"{self.files.features} cannot be read; features are extracted again")
        except StaleFeatures as error:
            self.warn(f"{error}; features are extracted again")
        return None

    def made_of(self, method: Method | None = None) -> dict[str, str]:
        """What features come from: the key, which stands for data, view and settings; the precision; and the weights,
        those of ``method`` or, without one, those that are kept, if there are any that can be read."""
        facts = {"key": self.work.key, "precision": self.work.training.precision}
        if method is not None:
            return {**facts, "weights": weights_digest(method)}
        try:
            return {**facts, "weights": tensors_digest(load_tensors(self.files.weights)[0])}
        except (OSError, SafetensorError):
            return facts

    def data(self) -> Splits:
        """The images that it trains on and is evaluated on."""
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

    def load_weights(self, method: Method) -> bool:
        """Whether the weights that are kept could be put into the method."""
        try:
            tensors, _ = load_tensors(self.files.weights)
        except (OSError, SafetensorError):
            return False
        method.load_state_dict(tensors)
        return True

    def train(self, method: Method, data: Splits) -> TrainingFacts:
        """Pretrain and keep the weights; a method that takes no step is only described."""
        if not self.method_choice.spec.trains:
            facts = TrainingFacts(
                key=self.work.key, epochs=0, steps=0, seconds=0.0, images_skipped=data.skipped, input=input_of(data)
            )
            self.keep(lambda: self.files.write_facts(facts), "facts")
            return facts
        settings = LoopSettings.of(self.work.training, self.work.seed, self.files.checkpoint)
        task = self.task(method, data)
        flops = step_flops_per_image(
            method,
            min(settings.batch_size, len(data.pretraining)) // settings.accumulate,
            task.mask_ratio,
            task.labels,
        )
        self.report("training")
        curve = self.curve(method, data)
        trained = Trainer(task, settings, Callbacks(self.emit, self.warn, curve)).run()
        if trained.batch_size < settings.batch_size:
            self.warn(f"batch of {trained.batch_size}: there are no more training images")
        facts = training_facts(self.work.key, trained, flops, data, curve)
        self.emit(StepsTimed(self.work.key, trained.step_ms))
        self.keep(lambda: save_tensors(self.files.weights, method.state_dict(), {}), "weights")
        self.keep(lambda: self.files.write_facts(facts), "facts")
        self.files.checkpoint.unlink(missing_ok=True)
        return facts

    def task(self, method: Method, data: Splits) -> TrainingTask:
        """What is trained."""
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

    def curve(self, method: Method, data: Splits) -> Curve | None:
        """The curve that the work asks for, or None."""
        request = self.work.curve
        if request is None:
            return None
        evaluators = [sent("evaluator", plain, self.registry) for plain in request.evaluators]
        evaluate = CurveEvaluation(evaluators, data, self.work.seed, lambda: self.model_of(method, data), self.warn)
        return Curve(request.every, evaluate, request.asked)

    def model_of(self, method: Method, data: Splits) -> TrainedModel:
        """What evaluators are lent."""
        return TrainedModel(
            method,
            lambda seed: self.built(data, seed),
            data,
            self.device,
            self.work.training.precision,
            self.work.mask_ratio,
        )

    def trained_model(self) -> TrainedModel:
        """The trained model, built again where only features were read. Raises SslbenchError without its weights."""
        if self._model is None:
            data = self.data()
            method = self.built(data)
            if self.method_choice.spec.trains and not self.load_weights(method):
                raise SslbenchError(
                    f"{self.files.weights} is gone or cannot be read; --fresh trains this pretraining again"
                )
            self._model = self.model_of(method, data)
        self._model.method.eval()
        return self._model

    def forget_model(self) -> None:
        """The next evaluator gets the model as it was trained, built again."""
        self._model = None
