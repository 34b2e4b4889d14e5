"""Steps on a real GPU, where torch raises when the host waits for it. Without one, tests/testing/test_pretended_gpu.py
and tests/train/test_graph_on_pretended_gpu.py see the same."""

from __future__ import annotations

import pytest
import torch

from sslbench.contracts.method import Progress
from tests.train.test_trainer import TRAINED, trainer

pytestmark = pytest.mark.gpu
BEFORE = 2
"""steps that may wait: kernels are chosen, memory is taken"""


@pytest.fixture
def waiting_is_an_error():
    """Call it, and from then on it is."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


def steps_that_wait_for_nothing(waiting_is_an_error, name, **settings):
    training = trainer(name, device=torch.device("cuda"), **settings)
    for number, batch in enumerate(training.batches.epoch(0)):
        if number == BEFORE:
            waiting_is_an_error()
        training.take_step([batch.images], batch.labels, Progress(number, 12, 0, 3))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", TRAINED)
def test_a_training_step_waits_for_nothing(waiting_is_an_error, name, precision):
    steps_that_wait_for_nothing(waiting_is_an_error, name, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
def test_no_optimizer_does(waiting_is_an_error, optimizer, precision):
    steps_that_wait_for_nothing(waiting_is_an_error, "byol", given={"optimizer": optimizer}, precision=precision)
