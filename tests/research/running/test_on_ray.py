"""The engine on Ray: the bits of the local one, whatever happens to its nodes."""

import concurrent.futures
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pandas as pd
import pytest

from batch.data.history import History
from research.experiments.experiment import Experiment
from research.experiments.prediction import own_lengths
from research.running.comparison import of_methods, train_in_turns
from research.storage.run_store import RunStore
from utils import load_data

ray = pytest.importorskip("ray")

BASE = Experiment(
    iterations=24, batch_size=10, model="wideresnet", model_options={"depth": 10, "widen_factor": 1}
)
OWN = """
from research import Method

HALF = Method("half", lambda experiment, blocks: {"learning_rate": experiment.learning_rate / 2})
"""


@pytest.fixture(scope="module")
def data():
    return load_data("digits").with_train_images(60).with_test_images(20)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one processor each; the first is the driver's."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.other = made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


def without_seconds(histories):
    return [dataclasses.replace(history, seconds=[0.0] * len(history)) for history in histories]


def test_a_lost_node_costs_no_bits(cluster, data, tmp_path, monkeypatch):
    from research.running import on_ray

    named = own_lengths(of_methods(BASE, ["freezeout"]), data)
    named = {label: dataclasses.replace(made, cache="off") for label, made in named.items()}
    seeds = range(4)
    expected = train_in_turns(named, seeds, data, quiet=True)
    store, count = RunStore(tmp_path / "checkpoints", list(named)), on_ray.Progress.count
    lost, counted = [], []

    def killing(self, iterations, text):
        count(self, iterations, text)
        counted.append(iterations)
        if sum(counted) > 30 and not lost:
            lost.append(cluster.other)
            cluster.remove_node(cluster.other, allow_graceful=False)

    monkeypatch.setattr(on_ray.Progress, "count", killing)
    made = on_ray.train_on_ray(named, seeds, data, store, every=6)
    assert lost
    assert without_seconds(made) == without_seconds(expected)
    assert made[0].mistakes
    assert all(history.mistakes is None for history in made[1:])
    kept = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert sorted(kept) == ["0-0.json", "0-1.json", "0-2.json", "0-3.json"]


def test_a_task_that_waits_for_the_keeper_keeps_its_processor(cluster):
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from research.running.on_ray import _answer

    @ray.remote
    class Slow:
        def wait(self):
            time.sleep(4)

    @ray.remote
    def task(slow):
        start = time.time()
        _answer(slow.wait.remote())
        return start, time.time()

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    slow = Slow.options(num_cpus=0, scheduling_strategy=here).remote()
    task = task.options(num_cpus=1, scheduling_strategy=here)  # of which this node has one
    spans = ray.get([task.remote(slow) for _ in range(2)])
    assert max(start for start, _ in spans) >= min(end for _, end in spans)


class Keeper:
    """What a worker sees of the keeper; it answers when it is `free`."""

    def __init__(self, stopping=False):
        self.progress, self.counts, self.free = self, [], concurrent.futures.Future()
        if stopping:
            self.free.set_result(True)

    def remote(self, made, _):
        self.counts.append(made)
        return self

    def future(self):
        return self.free


def test_a_task_that_begins_when_the_command_ends_makes_nothing():
    from research.running.on_ray import _seed_made

    keeper, made = Keeper(stopping=True), []
    _seed_made(keeper, ({}, None, None, lambda *_: made.append(1)), 0, None, False)
    assert (keeper.counts, made) == ([0], [])


def test_training_goes_on_while_the_keeper_is_busy(monkeypatch):
    from research.running import on_ray

    monkeypatch.setattr(on_ray, "LOOK", 0)
    keeper = Keeper()
    progress = on_ray._SentProgress(keeper)
    history = History("classic", 0, [1.0], [1.0], [0])
    run = types.SimpleNamespace(history=history, experiment=dataclasses.replace(BASE, iterations=9))
    for _ in range(5):
        progress.on_train_batch_end(run)
    assert keeper.counts == [1]
    keeper.free.set_result(False)
    progress.on_train_batch_end(run)
    assert keeper.counts == [1, 5]


def test_mapped_images_are_refused(data, tmp_path):
    from research.running.on_ray import train_on_ray

    mapped = np.memmap(
        tmp_path / "images", data.test.images.dtype, "w+", shape=data.test.images.shape
    )
    test = dataclasses.replace(data.test, images=mapped)
    with pytest.raises(ValueError, match="those of digits are too many for the memory"):
        train_on_ray({}, [0], dataclasses.replace(data, test=test), None)


def command(tmp_path, *more):
    (tmp_path / "mine.py").write_text(OWN)
    options = ["--data", "digits", "--train-images", "60", "--test-images", "20", "--seeds", "2"]
    options += ["--iterations", "40", "--batch-size", "10", "--methods", "classic,mine.py:HALF"]
    options += ["--model", "wideresnet", "--depth", "10", "--widen-factor", "1", "--threads", "1"]
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "resbatch", "compare", *options, "--out", "out", *more],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_command_leaves_no_process_and_goes_on_here(tmp_path):
    process = command(tmp_path, "--engine", "ray")
    deadline = time.monotonic() + 120
    seen = ""
    while "half" not in seen and "classic" not in seen and time.monotonic() < deadline:
        seen += process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 143, seen + rest
    assert "--out out --resume goes on with it" in rest
    assert list((tmp_path / "out.partial").rglob("checkpoint.json"))
    assert not _processes_in(tmp_path)
    process = command(tmp_path, "--resume")
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 0, rest
    runs = pd.read_csv(tmp_path / "out" / "results.csv").groupby(["method", "seed"]).size()
    assert runs.to_dict() == {(name, seed): 40 for name in ("classic", "half") for seed in (0, 1)}


def _processes_in(folder):
    """What still runs in a folder."""
    places = pathlib.Path("/proc").glob("[0-9]*/cwd")
    return [place for place in places if os.path.realpath(place) == os.path.realpath(folder)]


@pytest.mark.parametrize("option", ["--address=1.2.3.4:6379", "--cpus-per-run=2"])
def test_options_of_ray_need_ray(option, fails):
    assert "needs --engine ray" in fails(2, "compare", option)


def test_benchmarks_are_not_for_ray(fails):
    assert "--engine is an option of resbatch compare" in fails(2, "bench", "--engine", "ray")


def test_without_ray_it_says_what_to_install(monkeypatch, fails):
    monkeypatch.setitem(sys.modules, "ray", None)
    line = fails(1, "compare", "--iterations", "2", "--batch-size", "20", "--engine", "ray")
    assert "pip install 'resbatch[ray]'" in line
