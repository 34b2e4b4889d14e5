"""One pretraining on this machine: trained and its features extracted, unless an earlier run left them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from sslbench.contracts.backbone import Backbone
from sslbench.contracts.executor import Emit, Event, Work
from sslbench.contracts.method import Method
from sslbench.contracts.params import MethodParams
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import Extraction, extract_all
from sslbench.evaluate.run import CurveEvaluation, save_pictures
from sslbench.evaluate.shown_images import SplitImages
from sslbench.execute.artifact_cache import ArtifactCache
from sslbench.execute.devices import check_devices
from sslbench.execute.events import DataRead, StageStarted, StepsTimed, TrainingStarted, Warned
from sslbench.execute.launch import run_ranks
from sslbench.hooks.registry import Registry, one_line
from sslbench.measure.flops import step_flops_per_image
from sslbench.plan.cell import Choice
from sslbench.plan.choose import sent
from sslbench.store.digests import DamagedFile
from sslbench.store.record import DataFacts, InputFacts, TrainingFacts, WeightsFacts
from sslbench.train.curve import Curve
from sslbench.train.data import Splits, make_splits
from sslbench.train.epochs import ended_before
from sslbench.train.masks import draw_masks
from sslbench.train.ranks import alone, first_alone, rank, ranks
from sslbench.train.task import Callbacks, LoopSettings, TrainingTask, build_dataset, build_method
from sslbench.train.threads import enough_threads
from sslbench.train.trainer import Trainer
from sslbench.train.view_pictures import view_pictures


@dataclass
class PretrainingJob:
    """One piece of work: the pretraining that its evaluations share."""

    work: Work
    emit: Emit
    registry: Registry
    model: TrainedModel | None = field(default=None, init=False)
    """as trained, once it was built"""
    data_facts: DataFacts | None = field(default=None, init=False)
    """what it looks at, once that is known"""

    _data: Splits | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.settings, self.cache = self.work.training, ArtifactCache(self.work, self.warn)

    @cached_property
    def device(self) -> torch.device:
        """Where it runs."""
        return torch.device(self.settings.device)

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        """Its plugins by kind. Raises what keeps one from being loaded."""
        return {kind: sent(kind, plain, self.registry) for kind, plain in self.work.plugins.items()}

    @cached_property
    def shown(self) -> SplitImages:
        """Its images, for pictures."""
        return SplitImages(self._read)

    def warn(self, text: str) -> None:
        """Emit a warning."""
        self.emit(Warned(text))

    def prepare(self) -> tuple[TrainingFacts, Extraction]:
        """Train and extract, or read what an earlier run left. Raises whatever keeps that from being done."""
        if self.work.fresh:
            self.cache.files.remove()
        facts = self.cache.facts()
        features = self.cache.features() if facts else None
        if facts:
            self._report_epochs(facts)
        if facts and features:
            self._describe()
            return facts, features
        if self.settings.devices > ranks() and self.choices["method"].spec.trains:
            return self._prepared_by_ranks()
        data = self.data()
        self._describe(data)
        method = self.build(data)
        if facts is None or not self._restored(method):
            facts = self.train(method, data)
        return facts, self.extract(method, data)

    def _report_epochs(self, facts: TrainingFacts) -> None:
        """Emit the epochs of a training that was done before."""
        for epoch in ended_before(facts.losses or (), facts.curve, facts.epochs or 0):
            self.emit(epoch)

    def _prepared_by_ranks(self) -> tuple[TrainingFacts, Extraction]:
        """The same done by a process for each of several devices. Raises what the first to fail raised there."""
        gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        check_devices(self.settings, ["cpu", *gpus])
        last = ""

        def receive(event: Event) -> None:
            nonlocal last
            if isinstance(event, DataRead):
                self.data_facts = event.facts
            if isinstance(event, Warned):
                last = f" ({event.text})"
            self.emit(event)

        run_ranks(self.work, receive)
        facts = self.cache.facts()
        features = self.cache.features() if facts else None
        if facts is None or features is None:
            where = f"{self.cache.files.folder}{last}"
            raise SslbenchError(f"what {self.settings.devices} devices trained is not to be found in {where}")
        return facts, features

    def _restored(self, method: Method) -> bool:
        """Whether ``method`` has the stored weights now; what keeps it from that is named in a warning."""
        try:
            return self.cache.load_weights(method)
        except (OSError, DamagedFile) as error:
            self.warn(f"{error}; training is done again")
            return False

    def data(self) -> Splits:
        """The images that it trains on and is evaluated on, read once; what the user should know of them becomes a
        warning. Raises UserError where they cannot be read."""
        if self._data is None:
            for note in self._read().notes:
                self.warn(f"{self.choices['dataset'].name}: {note}")
        return self._read()

    def _read(self) -> Splits:
        """The same without a warning."""
        if self._data is None:
            self.emit(StageStarted("reading images"))
            settings = self.settings
            with first_alone():
                self._data = make_splits(
                    build_dataset(self.choices["dataset"], self.work.download),
                    evaluate_on=settings.evaluate_on,
                    train_images=settings.train_images,
                    image_size=settings.image_size,
                )
        return self._data

    def _describe(self, data: Splits | None = None) -> None:
        """Emit what is looked at, where anything is evaluated. ``data`` None: as it was kept, else read again."""
        if not self.work.evaluations or rank():
            return
        facts = self.cache.data() if data is None else None
        if facts is None:
            known = facts = (data or self.data()).facts(self.work.fingerprint)
            self.cache.save(lambda: self.cache.files.write_data(known), "what is known of the images")
        self.data_facts = facts
        self.emit(DataRead(self.choices["dataset"].name, facts))

    def build(self, data: Splits, seed: int | None = None) -> Method:
        """The method on its backbone, initialised from the seed (default: the work's)."""
        work, seed = self.work, self.work.seed if seed is None else seed
        context = BuildContext(data.image_size, data.classes, seed, work.download, mask_ratio=work.mask_ratio)
        context = replace(context, device=work.training.device, trust=work.trust, mean=data.mean, std=data.std)
        with first_alone():
            method = build_method(self.choices["method"], self.choices.get("backbone"), context)
        # A file keeps no memory layout, on which the last bits of a convolution depend: all have the one of training.
        return method.to(memory_format=torch.channels_last)

    def train(self, method: Method, data: Splits) -> TrainingFacts:
        """Pretrain and keep the weights; for a method that takes no step there are only facts."""
        key, images, weights = self.work.key, data.training_input, self._weights_of(method, data)
        if not self.choices["method"].spec.trains:
            facts = TrainingFacts(key=key, epochs=0, steps=0, seconds=0.0, input=images, weights=weights)
            self.cache.save_facts(facts)
            return facts
        task, files = self._task(method, data), self.cache.files
        settings = LoopSettings.of(self.settings, self.work.seed, files.checkpoint)
        batch = min(settings.batch_size, len(data.pretraining))
        with alone():
            at_once = batch // settings.accumulate
            masks = draw_masks(method, task.masking, task.mask_ratio, at_once, torch.Generator().manual_seed(0))
            flops = step_flops_per_image(method, at_once, masks, task.labels)
        self.emit(StageStarted("training"))
        self.emit(TrainingStarted(batch, settings.batch_size, settings.epochs, len(data.pretraining) // batch))
        trainer = Trainer(task, settings, Callbacks(self.emit, self.emit, self.warn, self._curve(method, data)))
        with enough_threads(self.device, None if flops is None else flops * batch / ranks()) as threads:
            facts = replace(trainer.run(), key=key, flops_per_image=flops, weights=weights)
        facts = replace(facts, at_once=self.work.at_once, threads=threads)
        self.emit(StepsTimed(key, tuple(trainer.clock.step_ms)))
        self.cache.save_weights(method)
        self._keep_pictures(task)
        self.cache.save_facts(facts)
        if not rank():
            files.checkpoint.unlink(missing_ok=True)
        return facts

    def _keep_pictures(self, task: TrainingTask) -> None:
        """Of the views and masks of some of its images; what keeps them from being drawn is a warning."""
        if rank():
            return
        names = {kind: choice.name for kind, choice in self.choices.items()}
        try:
            pictures = view_pictures(task, names["augmentation"], names.get("masking", ""), self.work.seed)
            save_pictures(self.cache.files, None, pictures)
        except Exception as error:
            self.warn(f"no pictures of views are kept: {one_line(error)}")

    def _weights_of(self, method: Method, data: Splits) -> WeightsFacts | None:
        """What it, or else what it learns from, was given of somebody else's weights; what the user should know about
        that becomes a warning."""
        for owner in (method, *method.learns_from):
            parts = (module.loaded_weights for module in owner.modules() if isinstance(module, Backbone))
            if (loaded := next(filter(None, parts), None)) is not None:
                for note in loaded.notes:
                    self.warn(f"{loaded.source}: {note}")
                given = InputFacts(**asdict(owner.input_spec or data.input_spec))
                return WeightsFacts(**vars(loaded), input=given)
        return None

    def extract(self, method: Method, data: Splits) -> Extraction:
        """Extract the features and keep them, and the model for the evaluators that ask for it."""
        self.emit(StageStarted("extracting features"))
        encoder = method.to(self.device).encoder
        batch, precision = self.work.evaluation_batch, self.settings.precision
        features = extract_all(encoder, data, self.device, precision, method.input_spec, batch)
        self.model = self._model_of(method, data)
        self.cache.save_features(features, method, method.input_spec or data.input_spec)
        return features

    def trained_model(self) -> TrainedModel:
        """The trained model, built again where only features were read. Raises SslbenchError without its weights."""
        if self.model is None:
            data = self.data()
            method = self.build(data)
            if self.choices["method"].spec.trains and not self.cache.load_weights(method):
                raise SslbenchError(
                    f"{self.cache.files.weights} is gone or cannot be read; --fresh trains this pretraining again"
                )
            self.model = self._model_of(method, data)
        self.model.method.eval()
        return self.model

    def _task(self, method: Method, data: Splits) -> TrainingTask:
        choice, masking = self.choices["method"], self.choices.get("masking")
        assert isinstance(choice.params, MethodParams)
        return TrainingTask(
            method=method,
            params=choice.params,
            masking=masking.build(BuildContext()) if masking else None,
            mask_ratio=self.work.mask_ratio,
            labels=choice.spec.uses_labels,
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
        precision, mask_ratio = self.settings.precision, self.work.mask_ratio
        return TrainedModel(method, lambda seed: self.build(data, seed), data, self.device, precision, mask_ratio)
