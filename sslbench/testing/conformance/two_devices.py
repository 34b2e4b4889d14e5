"""Methods on several devices: two ranks of B images each take the step of one process with 2 B."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sslbench.contracts.backbone import Backbone
from sslbench.contracts.method import Method, MethodSpec, Progress
from sslbench.contracts.plugin import BuildContext
from sslbench.hooks.registry import one_line
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.fakes import TinyBackbone, TinyTokenBackbone
from sslbench.train.batch_norm import shared_batch_statistics
from sslbench.train.masks import draw_masks, most_masked
from sslbench.train.ranks import average_gradients, mean_over_ranks, own_share, process_group, ranks

BATCH = 16
"""images over all ranks"""
TOLERANCE = 2e-5
"""of the length of a tensor: the norm of what it may be off by"""
NOISE = 0.05
"""of the length of the whole gradient, or of 1: what is shorter, such as the gradient of a bias below a batch norm,
which is 0 but for rounding, is compared with that and not with its own length"""
WAIT = 120.0
"""seconds that ranks wait for each other"""
PROGRESS = Progress(3, 10, 1, 2)
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Trial:
    """A method to be tried, in plain values."""

    name: str
    params: Mapping[str, Any]
    module: str
    """that has the hook; empty: the spec itself lies beside"""
    file: str | None

    @classmethod
    def of(cls, spec: MethodSpec, params: Any, beside: Path) -> Trial:
        """Whoever tries it imports the module of its ``build``, and asks its hook for the name. A spec that no hook
        brings, such as that of a test or a notebook, is written ``beside``, by value."""
        module = sys.modules.get(spec.build.__module__)
        if hooked(module, spec.name) is None:
            beside.write_bytes(pickled(spec, module))
            module = None
        name, file = (module.__name__, getattr(module, "__file__", None)) if module else ("", None)
        return cls(spec.name, params.model_dump(mode="json"), name, file)

    def spec(self, beside: Path) -> MethodSpec:
        """The spec. Raises what the import of its module raises, or LookupError."""
        if not self.module:
            found: MethodSpec = pickle.loads(beside.read_bytes())
            return found
        spec = hooked(self._imported(), self.name)
        if spec is None:
            raise LookupError(f"{self.module} has no hook that brings the method {self.name!r}")
        return spec

    def _imported(self) -> Any:
        try:
            return importlib.import_module(self.module)
        except ImportError:
            place = importlib.util.spec_from_file_location("tried", self.file) if self.file else None
            if place is None or place.loader is None:
                return None
            module = importlib.util.module_from_spec(place)
            place.loader.exec_module(module)
            return module


def hooked(module: Any, name: str) -> MethodSpec | None:
    """The method of this name that the hook of a module brings."""
    hook = getattr(module, "sslbench_methods", list)
    return next((spec for spec in hook() if spec.name == name), None)


def pickled(spec: MethodSpec, module: ModuleType | None) -> bytes:
    """A spec with the classes and functions of its module, which another process may not be able to import."""
    by_value = module is not None and module.__name__ != "__main__"
    if by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        data: bytes = cloudpickle.dumps(spec)
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)
    return data


@dataclass(frozen=True)
class Step:
    """One step of a method with plain SGD on its share of the images."""

    spec: MethodSpec
    params: Any
    start: Tensors | None = None
    """the state to begin with; None: as it is built"""
    seed: int = 0
    """of what is drawn in ``forward``"""

    def build(self) -> Method:
        """The method on a tiny backbone, in training mode, without dropout."""
        torch.manual_seed(0)
        backbone: Backbone = TinyTokenBackbone(SIZE) if "tokens" in self.spec.needs else TinyBackbone()
        given = backbone if "backbone" in self.spec.uses else None
        method = self.spec.build(self.params, BuildContext(SIZE, classes=3, mask_ratio=self._ratio, backbone=given))
        for module in method.train().modules():
            module.training = not isinstance(module, nn.modules.dropout._DropoutNd)
        if self.start is not None:
            method.load_state_dict(self.start)
        return method

    @property
    def _ratio(self) -> float | None:
        return 0.75 if "masking" in self.spec.uses else None

    def run(self, method: Method) -> Tensors:
        """Loss, scalars and gradients, averaged over the ranks, and the state afterwards."""
        generator = torch.Generator().manual_seed(1)
        views = [torch.randn(BATCH, 3, view.size, view.size, generator=generator) for view in method.views]
        masks = [own_share(mask) for mask in draw_masks(method, None, self._ratio, BATCH, generator)]
        method.most_masked = most_masked(method, self._ratio, BATCH, BATCH // ranks())
        labels = {"labels": own_share(torch.arange(BATCH) % 3)} if self.spec.uses_labels else {}
        torch.manual_seed(self.seed)
        with shared_batch_statistics():
            loss, scalars = method([own_share(view) for view in views], masks=masks, progress=PROGRESS, **labels)
            loss.backward()
        average_gradients(method.parameters())
        results = {"the loss": mean_over_ranks(loss.detach())}
        results |= {f"scalar {name!r}": mean_over_ranks(scalars[name].detach()) for name in sorted(scalars)}
        gradients = {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
        results |= {f"the gradient of {name}": gradient for name, gradient in gradients.items()}
        method.after_backward(PROGRESS)
        torch.optim.SGD([{"params": group["params"]} for group in method.param_groups(0.0)], lr=0.01).step()
        method.after_step(PROGRESS)
        state = {**method.state_dict(), **dict(method.named_buffers())}
        results |= {f"{name} after the step": value for name, value in state.items()}
        return {name: value.detach().clone().contiguous() for name, value in results.items()}


def of_two_devices(spec: MethodSpec, params: Any, ranks: int = 2) -> Problems:
    """Start ``ranks`` processes for one step of the method, which takes seconds, and compare it with that of one."""
    yield from of_methods([(spec, params)], ranks)[0]


def of_methods(methods: Sequence[tuple[MethodSpec, Any]], ranks: int = 2) -> list[list[str]]:
    """The same of several methods, in the same processes."""
    expected = []
    with tempfile.TemporaryDirectory(prefix="sslbench-ranks-") as name:
        folder = Path(name)
        for number, (spec, params) in enumerate(methods):
            step = Step(spec, params)
            method = step.build()
            save_file({key: value.clone() for key, value in method.state_dict().items()}, folder / f"{number}.start")
            again = Step(spec, params, load_file(folder / f"{number}.start"), seed=1)
            expected.append((step.run(method), again.run(again.build())))
        trials = [
            vars(Trial.of(spec, params, folder / f"{number}.spec")) for number, (spec, params) in enumerate(methods)
        ]
        (folder / "trials.json").write_text(
            json.dumps({"path": [*map(str, sys.path)], "trials": trials, "ranks": ranks})
        )
        errors = run_ranks(folder, ranks)
        return [
            list(differences(alone, other, [folder / f"{number}.{rank}" for rank in range(ranks)], errors))
            for number, (alone, other) in enumerate(expected)
        ]


def run_ranks(folder: Path, ranks: int) -> list[str]:
    """Let each rank take the steps; the last line of each that fails."""
    call = [sys.executable, "-P", "-m", __name__, str(folder)]
    running = [
        subprocess.Popen([*call, str(rank)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for rank in range(ranks)
    ]
    errors = []
    for process in running:
        try:
            _, text = process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            text = "the ranks wait for each other: not all of them gather the same"
        if process.returncode:
            errors.append(text.strip().rpartition("\n")[2])
    return errors


def differences(alone: Tensors, other_seed: Tensors, files: Sequence[Path], errors: Sequence[str]) -> Problems:
    """How the results of the ranks differ from those of one process."""
    if not all(file.exists() for file in files):
        yield f"on {len(files)} ranks: {errors[0] if errors else 'a process before it ended without a word'}"
        return
    if not torch.equal(alone["the loss"], other_seed["the loss"]):
        yield "its loss draws random numbers: ranks cannot be compared with one process; give parameters without"
        return
    gradients = [value for name, value in alone.items() if name.startswith("the gradient of ")]
    whole = torch.stack([gradient.norm() for gradient in gradients]).norm()
    for of_rank in map(load_file, files):
        where = f"on {len(files)} ranks of {BATCH // len(files)} images"
        for name in sorted(alone.keys() ^ of_rank.keys()):
            yield f"{where}: {name} is not there on {'the ranks' if name in alone else 'one of all images'}"
        for name in (name for name in alone if name in of_rank):
            least = NOISE * whole if name.startswith("the gradient of ") else torch.tensor(NOISE)
            if (off := distance(of_rank[name], alone[name], least)) > TOLERANCE:
                yield f"{where}: {name} is not that of {BATCH} images together (off by {off:.1g} of its length)"
                return


def distance(value: Tensor, expected: Tensor, least: Tensor) -> float:
    """Length of the difference as a share of the expected length, or of ``least``."""
    if value.shape != expected.shape:
        return float("inf")
    value, expected = value.double(), expected.double()
    return float((value - expected).norm() / torch.maximum(expected.norm(), least.double()))


def main() -> None:
    """One rank: ``FOLDER RANK``. Of what goes wrong, one line is written."""
    try:
        take_steps(Path(sys.argv[1]), int(sys.argv[2]))
    except BaseException as error:
        print(one_line(error), file=sys.stderr, flush=True)
        # The group of a rank that failed cannot be left in an orderly way.
        os._exit(1)


def take_steps(folder: Path, rank: int) -> None:
    """The steps of one rank, and their results as files."""
    job = json.loads((folder / "trials.json").read_text())
    sys.path[:] = job["path"]
    torch.set_num_threads(1)
    where = {"init_method": f"file://{folder}/store", "rank": rank, "world_size": job["ranks"]}
    with process_group(torch.device("cpu"), timeout=timedelta(seconds=WAIT / 2), **where):
        for number, trial in enumerate(Trial(**values) for values in job["trials"]):
            spec = trial.spec(folder / f"{number}.spec")
            step = Step(spec, spec.params(**trial.params), load_file(folder / f"{number}.start"))
            save_file(step.run(step.build()), folder / f"{number}.{rank}")


if __name__ == "__main__":
    main()
