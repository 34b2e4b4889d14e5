"""Weights & Biases: a project a suite, a run a pretraining, online or offline (wandb sync)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from sslbench import (
    BuildContext,
    ObservedPretraining,
    ObservedRun,
    ObserverSpec,
    Params,
    PathText,
    UserError,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.tracking.places import made_folder
from sslbench_plugins.blocks.tracking.tracker import End, TrackedRun, Tracker
from sslbench_plugins.blocks.tracking.words import parameters

INSTALL = 'pip install "sslbench[wandb]"'
Mode = Literal["auto", "online", "offline", "disabled"]
EXIT_CODES: dict[End, int] = {"finished": 0, "failed": 1, "interrupted": 255}


class WandbParams(Params):
    """Which project, and whether anything is sent. Credentials are those of `wandb login` or WANDB_API_KEY."""

    project: str = param("", "name of the project; empty: that of the suite")
    entity: str = param("", "user or team; empty: wandb's default")
    mode: Mode = param(
        "auto", "online; offline: files for `wandb sync`; disabled: nothing; auto: $WANDB_MODE or online"
    )
    folder: PathText = param("", "folder that gets a folder `wandb` with the files of runs; empty: the results folder")


class KnownRuns:
    """Run of a pretraining -> its attempt and the last epoch that was logged, in a file: wandb's own are not read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, run: str) -> tuple[int, int]:
        """(attempt, epoch); (0, 0) for none."""
        attempt, epoch = self._read().get(run, (0, 0))
        return attempt, epoch

    def put(self, run: str, attempt: int, epoch: int) -> None:
        """Note it; the file is whole at any time."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({**self._read(), run: [attempt, epoch]}))
        os.replace(new, self._path)

    def _read(self) -> dict[str, list[int]]:
        try:
            content = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


class WandbRun(TrackedRun):
    """One run. Steps are epochs."""

    def __init__(self, run: Any, known: KnownRuns, name: str, attempt: int, last_epoch: int) -> None:
        self._run, self._known, self._name, self._attempt = run, known, name, attempt
        self.last_epoch = last_epoch

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        self._run.log({"epoch": epoch, **metrics}, step=epoch)
        self._known.put(self._name, self._attempt, epoch)

    def result(self, metrics: Mapping[str, float], epochs: int) -> None:
        self._run.summary.update(dict(metrics))

    def end(self, how: End, words: str) -> None:
        self._run.summary["status"] = words
        self._run.finish(exit_code=EXIT_CODES[how])


class Wandb(Tracker):
    """Runs go on by their id."""

    def __init__(self, wandb: Any, params: WandbParams, mode: str) -> None:
        super().__init__()
        self._wandb, self._params, self._mode = wandb, params, mode

    def open(self, pretraining: ObservedPretraining, run: ObservedRun) -> WandbRun:
        folder, wandb = Path(self._params.folder or run.out), self._wandb
        known = KnownRuns(folder / "wandb" / "sslbench.json")
        attempt, last = known.get(pretraining.run)
        if pretraining.fresh:
            attempt, last = attempt + 1, 0
            known.put(pretraining.run, attempt, last)
        settings = {"console": "off", "silent": True, "x_disable_stats": True}
        opened = wandb.init(
            project=self._params.project or run.suite,
            entity=self._params.entity or None,
            id=f"{pretraining.run}-{attempt}" if attempt else pretraining.run,
            resume="allow",
            reinit="create_new",
            mode=self._mode,
            dir=str(folder),
            name=pretraining.name,
            group=run.suite,
            config={**parameters(pretraining), "command": run.command, "results": run.out, "key": pretraining.key},
            settings=wandb.Settings(**settings),
        )
        if self._mode != "disabled":
            where = opened.url if self._mode == "online" else Path(opened.dir).parent
            print(f"wandb: {pretraining.name}: {where}")
        return WandbRun(opened, known, pretraining.run, attempt, last)


def build(params: WandbParams, context: BuildContext) -> Wandb:
    """Raises UserError where it is to send what it has no key for, and where its folder cannot be made."""
    made_folder("wandb", "folder", params.folder)
    wandb = import_module("wandb")
    mode = os.environ.get("WANDB_MODE", "online") if params.mode == "auto" else params.mode
    if mode == "online":
        try:
            known = wandb.login()
        except Exception:
            known = False
        if not known:
            raise UserError(
                "observer 'wandb': no API key to go online with: `wandb login`, or WANDB_API_KEY, or mode=offline"
            )
    return Wandb(wandb, params, mode)


@hookimpl
def sslbench_observers() -> list[ObserverSpec]:
    return [ObserverSpec(name="wandb", params=WandbParams, build=build, library="wandb", install=INSTALL)]
