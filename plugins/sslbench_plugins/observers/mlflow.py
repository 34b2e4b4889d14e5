"""MLflow tracking: an experiment a suite, a run a pretraining; parameters, metrics by epoch, final metrics, cost."""

from __future__ import annotations

import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from importlib import import_module
from itertools import islice
from typing import Any

from sslbench import BuildContext, ObservedPretraining, ObservedRun, ObserverSpec, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.tracking.tracker import End, TrackedRun, Tracker
from sslbench_plugins.blocks.tracking.words import LOSS, SECONDS, parameters

INSTALL = 'pip install "sslbench[mlflow]"'
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""of MLflow, unless the user set them"""
ANSWER_SECONDS = 10.0
"""that a server has to answer in before the run begins"""
MOST_PARAMETERS = 100
"""in one request"""
STATUSES: dict[End, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowParams(Params):
    """Which server and experiment. Credentials are those of MLflow's own variables, such as MLFLOW_TRACKING_TOKEN."""

    tracking_uri: str = param("", "address of the server; empty: $MLFLOW_TRACKING_URI, else MLflow's own default")
    experiment: str = param("", "name of the experiment; empty: that of the suite")


class MlflowRun(TrackedRun):
    """One run, by its id."""

    def __init__(self, mlflow: Any, client: Any, run_id: str) -> None:
        self._entities, self._client, self.run_id = mlflow.entities, client, run_id
        known = client.get_run(run_id).data.metrics
        history = client.get_metric_history(run_id, LOSS) if LOSS in known else []
        self.last_epoch = max((metric.step for metric in history), default=0)
        self.has_cost = SECONDS in known

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        now = int(time.time() * 1000)
        rows = [self._entities.Metric(allowed(name), value, now, epoch) for name, value in metrics.items()]
        self._client.log_batch(self.run_id, metrics=rows)

    def result(self, metrics: Mapping[str, float], epochs: int) -> None:
        self.log(metrics, epochs)

    def end(self, how: End, words: str) -> None:
        self._client.set_tag(self.run_id, "sslbench.status", words)
        self._client.set_terminated(self.run_id, STATUSES[how])


class Mlflow(Tracker):
    """Runs are found again by their tags."""

    def __init__(self, mlflow: Any, client: Any, experiment: str) -> None:
        super().__init__()
        self._mlflow, self._client, self._name = mlflow, client, experiment
        self._experiment = ""

    def run_started(self, run: ObservedRun) -> None:
        super().run_started(run)
        name = self._name or run.suite
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)

    def open(self, pretraining: ObservedPretraining, run: ObservedRun) -> MlflowRun:
        run_id = None if pretraining.fresh else self._find(pretraining.run)
        if run_id is None:
            run_id = self._create(pretraining, run)
        else:
            self._client.update_run(run_id, status="RUNNING")
        return MlflowRun(self._mlflow, self._client, run_id)

    def _find(self, name: str) -> str | None:
        """The id of the run that has this tag, of several the last."""
        text = f"tags.`sslbench.run` = '{name}'"
        order = ["attributes.start_time DESC"]
        found = self._client.search_runs([self._experiment], filter_string=text, order_by=order, max_results=1)
        return found[0].info.run_id if found else None

    def _create(self, pretraining: ObservedPretraining, run: ObservedRun) -> str:
        tags = {
            "sslbench.run": pretraining.run,
            "sslbench.key": pretraining.key,
            "sslbench.suite": run.suite,
            "sslbench.results": run.out,
            "mlflow.source.name": "sslbench",
            "mlflow.note.content": f"`{run.command}`" if run.command else "",
        }
        made = self._client.create_run(self._experiment, tags=tags, run_name=pretraining.name)
        run_id: str = made.info.run_id
        param = self._mlflow.entities.Param
        items = parameters(pretraining).items()
        for some in batches(param(allowed(name), str(value)) for name, value in items):
            self._client.log_batch(run_id, params=some)
        return run_id


def batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    """As many at a time as a request may have."""
    left = iter(items)
    while some := list(islice(left, MOST_PARAMETERS)):
        yield some


def allowed(name: str) -> str:
    """A name of letters, digits and ``_-. /``: ``top1@2`` is ``top1_at_2``."""
    return re.sub(r"[^\w/. -]", "_", name.replace("@", "_at_").replace("%", "pct"))


def build(params: MlflowParams, context: BuildContext) -> Mlflow:
    """Raises UserError where what keeps its runs cannot be reached."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    mlflow = import_module("mlflow")
    if bare(params.tracking_uri) != params.tracking_uri:
        raise UserError(
            "observer 'mlflow': tracking_uri has a user or password in it, and is kept with the results; allowed: the"
            " address alone, and MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    uri = params.tracking_uri or mlflow.get_tracking_uri()
    check_server(bare(uri))
    try:
        client = mlflow.MlflowClient(uri)
        client.search_experiments(max_results=1)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"observer 'mlflow': {bare(uri)} cannot be used: {reason}") from None
    return Mlflow(mlflow, client, params.experiment)


def bare(uri: str) -> str:
    """Without user and password."""
    return re.sub(r"(?<=://)[^/?#]*@", "", uri)


def check_server(uri: str) -> None:
    """Raises UserError where nothing answers; one that wants to know who asks has answered."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"observer 'mlflow': no server answers at {uri}: {reason}; start one with `mlflow server`, or give"
            " tracking_uri=http://HOST:PORT"
        ) from None


@hookimpl
def sslbench_observers() -> list[ObserverSpec]:
    return [ObserverSpec(name="mlflow", params=MlflowParams, build=build, library="mlflow", install=INSTALL)]
