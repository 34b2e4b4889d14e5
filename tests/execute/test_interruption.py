"""Runs that are killed, interrupted or met by a second run, as real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

SHAPES = "shapes:train_images=640,test_images=64,image_size=16"
RUN = "-b convnet-small:width=4 -e knn -e linear-probe --seeds 0,1".split()
SETTINGS = "--set checkpoint_every=0.02 --set evaluate_on=validation".split()


def start(folder, out, *extra, methods=("-m", "simclr"), epochs=6, data=SHAPES):
    settings = ("-d", data, *RUN, *SETTINGS, "--epochs", str(epochs), "--out", str(out))
    command = [sys.executable, "-m", "sslbench", "run", *methods, *settings, *extra]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(folder, out):
    process = start(folder, out, "--format", "json")
    text, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(text)["records"], err


def metrics(records):
    return {record["cell"]: (record["status"], record["metrics"]) for record in records}


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.005)
    pytest.fail("what was waited for did not happen")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return finish(folder, folder / "out")[0]


def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path, uninterrupted):
    from sslbench.store.results import ResultsStore

    out = tmp_path / "out"
    moments = random.Random(0)
    for _ in range(2):
        process = start(tmp_path, out)
        wait_for(lambda process=process: list(out.glob("artifacts/*/*")) or process.poll() is not None)
        time.sleep(moments.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finished = {}
    if ResultsStore.exists(out):
        with ResultsStore.open_for_reading(out) as store:
            finished = {record.cell: store.raw(record.cell) for record in store.records()}
    records, _ = finish(tmp_path, out)
    assert metrics(records) == metrics(uninterrupted)
    with ResultsStore.open_for_reading(out) as store:
        assert {cell: store.raw(cell) for cell in finished} == finished
    assert not list(out.glob("artifacts/*/checkpoint*"))


def test_ctrl_c_keeps_what_is_finished_and_the_message_names_how_to_go_on(tmp_path):
    out = tmp_path / "out"
    process = start(tmp_path, out, epochs=1000, methods=("-m", "random-init", "-m", "simclr"))
    wait_for(lambda: list(out.glob("artifacts/*/features.safetensors")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; the same command goes on from here" in err
    assert "Traceback" not in err


def test_ctrl_c_while_images_are_decoded_ends_the_threads_that_decode_them(tmp_path, monkeypatch):
    """Photographs large enough to be decoded by several threads, ahead of the training."""
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "root" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (160, 160, 3), dtype=np.uint8)).save(path)
    out = tmp_path / "out"
    data = f"imagefolder:root={tmp_path / 'root'},reading=streaming,size=16"
    process = start(tmp_path, out, "--batch-size", "8", epochs=1000, data=data)
    wait_for(lambda: list(out.glob("artifacts/*/checkpoint*")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; the same command goes on from here" in err
    assert "Traceback" not in err


def test_a_second_run_on_the_same_folder_ends_with_the_number_of_the_first(tmp_path):
    out = tmp_path / "out"
    first = start(tmp_path, out, epochs=1000)
    try:
        wait_for(lambda: list(out.glob("artifacts/*/*")) or first.poll() is not None)
        second = start(tmp_path, out)
        _, err = second.communicate(timeout=60)
        assert second.returncode == 2
        assert str(first.pid) in err
        assert len(err.splitlines()) == 1
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    command = f"{sys.executable} -m sslbench run -m raw-pixels -d {SHAPES} -e knn --format json | head -c 10"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert len(done.stdout) == 10
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
