"""Diary: a line of text for each pretraining and record, in the results folder."""

from pathlib import Path

from sslbench import BuildContext, Observer, ObserverSpec, Params, hookimpl, param


class DiaryParams(Params):
    file: str = param("diary.txt", "its name")


class Diary(Observer):
    def __init__(self, params):
        self.name = params.file

    def write(self, text):
        with self.path.open("a") as file:
            file.write(f"{text}\n")

    def run_started(self, run):
        self.path = Path(run.out) / self.name
        self.write(f"{run.suite}: {run.cells} cells")

    def pretraining_started(self, pretraining):
        self.write(f"began {pretraining.name}")
        return 0

    def record_written(self, key, record):
        self.write(f"{record['method']} {record['evaluator']}: {record['status']}")

    def run_finished(self, statuses):
        self.write(f"ended: {dict(statuses)}")


@hookimpl
def sslbench_observers():
    def build(params: DiaryParams, context: BuildContext) -> Diary:
        return Diary(params)

    return [ObserverSpec(name="diary", params=DiaryParams, build=build)]
