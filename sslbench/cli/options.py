"""Options that several commands share, the requests they make, and JSON documents with their schema."""

from __future__ import annotations

import functools
import gc
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.command import typed
from sslbench.cli.complete import one_of, plugins, sizes, suite_names, training_settings
from sslbench.cli.numbers import Whole
from sslbench.cli.streams import show
from sslbench.contracts.defaults import EXECUTOR
from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.hooks.user_paths import expanded

if TYPE_CHECKING:
    from sslbench.advise.frozen import Settings
    from sslbench.execute.request import Request
    from sslbench.store.found import Found

AXES = (
    ("-m", "method", "How the encoder is trained"),
    ("-a", "augmentation", "How views are made"),
    ("-k", "masking", "Which patches are masked"),
    ("-e", "evaluator", "How the features are evaluated"),
    ("-d", "dataset", "The images"),
    ("-b", "backbone", "The network"),
)
"""short option, axis, what it is"""


class Choice(click.Choice[str]):
    """One of some words; for another the one that may be meant is named."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            words = list(map(str, self.choices))
            hint = did_you_mean(str(value), words)
            self.fail(f"{quoted(value)}{hint} (allowed: {', '.join(words)})", param, ctx)


class UserPath(click.Path):
    """A path, of which ``~`` is the home folder wherever the shell left it as it is, as in ``--out=~/results``."""

    def __init__(self, **checks: Any) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, expanded, then checked."""
        try:
            path = expanded(value)
        except UserError as error:
            self.fail(str(error), param, ctx)
        return Path(os.fsdecode(super().convert(path, param, ctx)))


FORMATS = Choice(["table", "markdown", "csv", "json"])
PRECISIONS = Choice(["auto", "fp32", "tf32", "bf16", "fp16"])
FOLDER = UserPath()
DEVICE_WORDS = ("auto", "cpu", "cuda")
DEVICES = "Device: auto, cpu, cuda or cuda:N."
DOWNLOAD = "Allow data sets and models to be fetched."
TRUST = "Allow code that comes with a model (torch.hub) to run."
WHERE = f"Where the work runs, as NAME or NAME:key=value.  [default: $SSLBENCH_EXECUTOR, or {EXECUTOR}]"
OBSERVER = "Report to a tracker or log, as NAME or NAME:key=value (see: sslbench list observer); repeatable."
RETRIES = "Times that a pretraining is tried again when its worker is lost."
PLUGINS = "Plugins, as NAME or NAME:key=value,...; repeatable, replace the suite's"
"""title of their section"""
OUT = "Results folder.  [default: sslbench-results/SUITE]"

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


def axis_option(axis: tuple[str, str, str], more: str = "") -> Decorator:
    """The option of one of ``AXES``; ``more`` is added to its help."""
    short, name, what = axis
    completed = plugins(name, paths=name in ("method", "dataset"))
    text = f"{what}{more}."
    return click.option(short, f"--{name}", name, multiple=True, metavar="NAME", shell_complete=completed, help=text)


SUITE_OPTIONS: list[Decorator] = [
    click.argument("suite", default="quick", shell_complete=suite_names()),
    click.option(
        "--size", metavar="NAME", shell_complete=sizes, help="A smaller form that the suite has, such as small."
    ),
    *map(axis_option, AXES),
    click.option("--seeds", metavar="N,N", help="Seeds, such as 0,1,2 or 0-4."),
    click.option("--epochs", type=int, metavar="N", help="Passes over the training images, of every method."),
    click.option("--batch-size", type=int, metavar="N", help="Source images per step."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=training_settings,
        help="Any other training setting, such as train_images=1000 or curve_every=1; repeatable.",
    ),
    click.option("--device", metavar="NAME", shell_complete=one_of(DEVICE_WORDS), help=DEVICES),
    click.option("--devices", type=Whole(1), metavar="N", help="Devices that share each pretraining."),
    click.option("--precision", type=PRECISIONS, help="Precision of the training step and of evaluated features."),
    click.option("--compile/--no-compile", default=None, help="Use torch.compile."),
    click.option("--cuda-graphs/--no-cuda-graphs", default=None, help="Run each training step as one CUDA graph."),
    click.option("--out", type=FOLDER, metavar="DIR", help=OUT),
    click.option("--fresh", is_flag=True, help="Run everything again, whatever is done."),
    click.option("--keep-stale", is_flag=True, help="Reuse results of older code or data, knowingly."),
    click.option("--executor", metavar="NAME", shell_complete=plugins("executor"), help=WHERE),
    click.option(
        "--observer", "observers", multiple=True, metavar="NAME", shell_complete=plugins("observer"), help=OBSERVER
    ),
    click.option("--retries", type=Whole(0), default=0, metavar="N", help=RETRIES),
    click.option("--detach", is_flag=True, help="Leave the work to a cluster; the same command picks up what it did."),
    click.option("--max-cells", type=Whole(0), metavar="N", help="Run at most N cells now."),
    click.option("--strict-plugins", is_flag=True, help="Refuse to start if any installed plugin is broken."),
    click.option("--download", is_flag=True, help=DOWNLOAD),
    click.option("--trust", is_flag=True, help=TRUST),
]
SECTIONS = {
    "What is run": "size seeds max_cells",
    PLUGINS: " ".join(axis for _, axis, _ in AXES),
    "How each is trained": "epochs batch_size precision compile cuda_graphs settings",
    "Where": "device devices executor retries detach",
    "Results": "out observers fresh keep_stale",
    "What is allowed": "download trust strict_plugins",
}
"""of the help of ``run`` and ``plan``"""


def decorated(function: Function, decorators: Sequence[Decorator]) -> Function:
    """The function under the decorators, the first outermost, so that ``--help`` shows them in this order."""
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def suite_options(function: Function) -> Function:
    """Everything that determines what is run; the same for ``run`` and ``plan``."""
    return decorated(function, SUITE_OPTIONS)


def format_option(*formats: str, what: str = "output") -> Decorator:
    """``--format``, passed as ``format_``; the default is the first of ``formats`` (default: table or JSON)."""
    choices = Choice(formats or ("table", "json"))
    text = f"Format of the {what}."
    return click.option("--format", "format_", type=choices, default=choices.choices[0], show_default=True, help=text)


details_option = click.option(
    "--details", is_flag=True, help="Show all columns of the table, what each means, and all that is below."
)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON object on stdout, whose first key is ``schema``."""
    from sslbench.store.record import SCHEMA

    show(json.dumps({"schema": SCHEMA, **document}, indent=1), "json")


def feature_options(
    folder: str = "", flag: str = "--cache", what: str = "Folder that features are kept in."
) -> Decorator:
    """Where and how features are made, and the folder that keeps ``what``; none without a default for it."""
    path = UserPath(file_okay=False)
    keep = click.option(flag, "cache", type=path, default=Path(folder), metavar="DIR", show_default=True, help=what)
    decorators = [
        click.option("--device", default="auto", metavar="NAME", shell_complete=one_of(DEVICE_WORDS), help=DEVICES),
        click.option("--precision", type=PRECISIONS, default="auto", help="Precision in which features are computed."),
        *([keep] if folder else []),
        click.option("--download", is_flag=True, help=DOWNLOAD),
        click.option("--trust", is_flag=True, help=TRUST),
    ]
    return lambda function: decorated(function, decorators)


def read_settings_of_features(options: dict[str, Any]) -> Settings:
    """The settings behind ``feature_options``. Raises UserError for a device that is not there."""
    from sslbench.advise.frozen import Settings

    folder = {"out": options["cache"]} if "cache" in options else {}
    consent = {name: options[name] for name in ("download", "trust")}
    settings = Settings(options["device"], options["precision"], **consent, **folder)
    _ = settings.training
    return settings


def read_request(options: dict[str, Any]) -> Request:
    """The request behind ``suite_options``. Raises UserError with one line per mistake."""
    from sslbench.execute.request import Request
    from sslbench.plan.seeds import read_seeds
    from sslbench.plan.suite import Overrides

    names = ("epochs", "batch_size", "device", "devices", "precision", "compile", "cuda_graphs")
    training = {key: options[key] for key in names if options[key] is not None}
    axes = {axis: options[axis] for _, axis, _ in AXES if options[axis]}
    settings = read_settings(options["settings"], prefix="training.")
    twice = [key for key in settings if key in training]
    if twice:
        both = ((f"--{key.replace('_', '-')}", f"--set {key}={settings[key]}") for key in twice)
        raise UserError(*(f"{option} and {pair} set the same: give one of them" for option, pair in both))
    overrides = Overrides(axes, read_seeds(options["seeds"]), {**training, **settings})
    where = ("out", "executor", "observers", "retries", "detach", "download", "trust")
    which = ("size", "fresh", "keep_stale", "max_cells", "strict_plugins")
    return Request(options["suite"], overrides, **{key: options[key] for key in (*where, *which)})


def kept_as(kind: str, document: Mapping[str, Any], name: str = "") -> Found:
    """What the command that runs found out, to be kept in a results folder."""
    from sslbench.store.found import Found
    from sslbench.store.json_parts import plain
    from sslbench.store.provenance import machine_facts

    return Found(kind, name, typed(), plain(document, kind), machine_facts())


KEPT = "Results folder in which what is found is kept, for `sslbench report`."
keep_option = click.option("--out", type=UserPath(), metavar="DIR", help=KEPT)


def check_folder(folder: Path) -> None:
    """Raises UserError where nothing can be kept, before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {str(folder)!r}: cannot be made: {error.strerror}") from None


def without_collector(function: Function) -> Function:
    """For commands that hold many records, none of them in a cycle: to look for cycles takes a third of their time."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        enabled = gc.isenabled()
        gc.disable()
        try:
            return function(*arguments, **options)
        finally:
            if enabled:
                gc.enable()

    return command


def suites_line() -> str:
    """For the end of a command's help."""
    from sslbench.plan.builtin import builtin_suites

    return (
        f"Built-in suites: {', '.join(builtin_suites())} (see: sslbench suites)."
        " Plugins: sslbench list; what one takes: sslbench show KIND NAME."
    )


def read_settings(pairs: Sequence[str], option: str = "--set", prefix: str = "") -> dict[str, Any]:
    """``KEY=VALUE`` pairs as ``Written`` values; a ``prefix`` before a key is ignored. Raises UserError for a pair
    without ``=`` and a key given twice; keys are checked with what they set."""
    from sslbench.hooks.values import Written

    settings: dict[str, Any] = {}
    mistakes = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().removeprefix(prefix)
        if not equals or not key:
            mistakes.append(f"{option} {quoted(pair)} is not KEY=VALUE")
        elif key in settings:
            mistakes.append(f"{option} {quoted(pair)}: {quoted(key)} is given twice")
        settings[key] = Written(value)
    if mistakes:
        raise UserError(*mistakes)
    return settings
