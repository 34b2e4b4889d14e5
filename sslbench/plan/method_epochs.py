"""Epochs of one method: ``epochs`` beside its parameters in a suite, such as ``mae:epochs=16``."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import create_model

from sslbench.contracts.executor import TrainingSettings
from sslbench.contracts.params import Params, param
from sslbench.contracts.plugin import Spec

EPOCHS = "epochs"


def takes_epochs(spec: Spec) -> bool:
    """Whether ``epochs`` beside a plugin's parameters says how long it is trained: it is a method that trains, and has
    no parameter of that name."""
    return bool(getattr(spec, "trains", False)) and EPOCHS not in spec.params.model_fields


@cache
def with_epochs(model: type[Params]) -> type[Params]:
    """The parameters and ``epochs``, None where the suite's count."""
    text = f"{TrainingSettings.model_fields[EPOCHS].description}, of this method alone; default: the suite's"
    field: Any = (int | None, param(None, text, ge=0))
    return create_model(model.__name__, __base__=model, **{EPOCHS: field})
