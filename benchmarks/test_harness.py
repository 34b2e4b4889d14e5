"""What the harness costs: its training loop beside the barest one that does the same training, in one run.

Schedules, seeds of every step, step times, data-wait times, sums of losses and checks of them are the loop's; reading,
views, method and optimizer are the same in both. The step is as small as it can be, so that what the loop adds is
not lost in the noise of the step; it is the same for a large one.
"""

from __future__ import annotations

import torch

from sslbench import BuildContext
from sslbench.contracts.dataset import Split
from sslbench.contracts.method import Progress
from sslbench.hooks.registry import Registry
from sslbench.measure.clocks import undisturbed_clock
from sslbench.measure.comparison import compare_steps
from sslbench.measure.timing import Arm
from sslbench.train.data import Splits
from sslbench.train.task import LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

REGISTRY = Registry()
CPU = torch.device("cpu")
BATCH, SIZE, STEPS = 4, 8, 32
STEP_MS, ALLOWED = 20.0, 0.01
"""What the loop adds may be one hundredth of a step of 20 ms."""


def training(width):
    """SimCLR on a small convolutional network; one epoch is ``STEPS`` steps."""
    torch.manual_seed(0)
    simclr, network = REGISTRY.get("method", "simclr"), REGISTRY.get("backbone", "convnet-small")
    params = simclr.params(warmup_epochs=0, lr=1e-4, optimizer="adamw")
    backbone = network.build(network.params(width=width), BuildContext(image_size=SIZE))
    method = simclr.build(params, BuildContext(backbone=backbone, image_size=SIZE))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH * STEPS, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    split = Split(images)
    augmentation = REGISTRY.get("augmentation", "none")
    task = TrainingTask(
        method=method,
        params=params,
        data=Splits(split, split, 0, SIZE, (0.5,) * 3, (0.25,) * 3),
        augmentation=augmentation.build(augmentation.params(), BuildContext()),
    )
    return Trainer(task, LoopSettings(epochs=1, batch_size=BATCH, seed=0, device=CPU))


def harness(run):
    """One epoch of the harness's loop."""

    def epoch():
        run.step = 0
        return run.run().final_loss

    return epoch


def bare(run):
    """One epoch without anything that is not the training itself."""
    images, method, optimizer, views = run.task.data.train.images, run.method, run.update.optimizer, run.views
    generator, progress = torch.Generator(), Progress(0, STEPS, 0, 1)

    def epoch():
        for indices in torch.randperm(len(images)).split(BATCH):
            batch = views(images.index_select(0, indices), generator)
            optimizer.zero_grad(set_to_none=True)
            loss, _ = method(batch, masks=(), progress=progress)
            loss.backward()
            optimizer.step()
        return loss.detach()

    return epoch


def test_the_loop_costs_less_than_a_hundredth_of_a_step(report_line):
    arms = []
    for make in (bare, harness):
        run = training(width=4)
        run.method.train()
        arms.append(Arm(make(run), BATCH * STEPS, list(run.method.parameters())))
    comparison = compare_steps(*arms, rounds=12, warmup=2, clock=undisturbed_clock(CPU))
    step_ms = comparison.a.median_ms / STEPS
    added, least, most = (step_ms * (1 / ratio - 1) for ratio in (comparison.ratio, comparison.high, comparison.low))
    report_line(
        f"harness: the loop adds {1000 * added:.0f} microseconds ({1000 * least:.0f} to {1000 * most:.0f}) to a step of"
        f" {step_ms:.1f} ms, {added / STEP_MS:.2%} of one of {STEP_MS:.0f} ms"
    )
    assert least <= ALLOWED * STEP_MS
