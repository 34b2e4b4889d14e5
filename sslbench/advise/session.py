"""What all advice is made with: features of models, and evaluations through the ordinary run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sslbench.advise.defaults import BACKBONE
from sslbench.advise.frozen import FrozenFeatures, Model, Settings
from sslbench.contracts.executor import Emit
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.plan.suite import RawSuite
from sslbench.store.record import Record

NAME = "recipe"
"""of the suite, in messages and in the store"""


@dataclass(frozen=True)
class Session:
    """Settings, installed plugins, and where events go."""

    settings: Settings
    registry: Registry
    emit: Emit

    def features(self, model: Model, dataset: Reference) -> FrozenFeatures:
        """A model on a data set. Raises UserError where there is no such data set."""
        return FrozenFeatures(model, chosen("dataset", dataset, self.registry), self.settings, self.emit)

    def evaluate(
        self, method: Reference, dataset: Reference, evaluators: Sequence[Reference], **training: Any
    ) -> list[Record]:
        """The records of one method, by evaluator: kept, resumed and shown like those of any other run.

        ``training``: settings of a suite beside device and precision.
        """
        axes = {
            "method": [method],
            "dataset": [dataset],
            "backbone": [Reference(BACKBONE)],
            "augmentation": ["auto"],
            "evaluator": list(evaluators),
        }
        resolved = self.settings.training
        settings = {"device": resolved.device, "precision": resolved.precision, **training}
        data = {"axes": axes, "seeds": [self.settings.seed], "training": settings}
        request = Request(RawSuite(NAME, NAME, data), out=self.settings.out, download=self.settings.download)
        return run(request, self.emit, self.registry).records
