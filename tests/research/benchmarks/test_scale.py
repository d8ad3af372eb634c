"""The suites of scale, in toy sizes."""

import numpy as np
import pandas as pd
import pytest

from batch.networks.resnet import resnet
from research.benchmarks import cluster, cluster_runs, harness, imagenet, scale, scale_runs
from research.benchmarks.processes import megabytes


class Here:
    """As `Process`, for versions that run in this one."""

    def __init__(self, make, arguments, _):
        module, function = make.split(":")
        modules = {cluster.HERE: cluster_runs, "research.benchmarks.scale_runs": scale_runs}
        self._version = getattr(modules[module], function)(**arguments)

    def __enter__(self):
        return self._version

    def __exit__(self, *_):
        pass


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    for suite in (cluster, scale):
        monkeypatch.setattr(suite, "Process", Here)


def measured(suite, *names):
    """The rows of some parts of a suite, by what is measured."""
    chosen = [part for part in suite.parts() if part.name in names]
    rows = [row for part in chosen for row in part.rows(1, 4)]
    assert all(len(row) == len(harness.COLUMNS) for row in rows)
    return pd.DataFrame(rows, columns=harness.COLUMNS).set_index("what")


def test_rows_of_the_cluster_suite(monkeypatch):
    pytest.importorskip("ray")
    sizes = {"RUNS": 50, "NODES": 2, "ITERATIONS": 40, "IMAGES": 120}
    for name, size in sizes.items():
        monkeypatch.setattr(cluster, name, size)
    monkeypatch.setattr(cluster_runs, "_real", lambda data: (b"x" * 2_000_000, None))
    monkeypatch.setattr(cluster_runs, "SAVED", 0.5)
    rows = measured(cluster, "study")
    what = "50 runs of 40 iterations, 2 nodes: "
    values = rows["ours"].to_dict()
    csv = rows.loc[f"{what}results.csv"]
    assert csv["expected"] == "10.000"
    assert float(csv["ratio"]) == pytest.approx(10, rel=0.02)
    assert rows["peer"].to_list()[:2] == ["limit", "5 runs"]
    assert float(values["checkpoints of 10 runs under way, 2.0 MB each"]) == pytest.approx(
        20 / 300, rel=1e-3
    )


def test_a_lost_node_costs_half_an_interval_the_notice_and_the_restart(monkeypatch):
    monkeypatch.setattr(cluster, "_restart", lambda: 20.0)
    monkeypatch.setattr(cluster, "_seconds_to_notice", lambda: 30.0)
    rows = measured(cluster, "a lost node")
    lost = rows.loc["a node of 100 lost every 600 s"]
    assert (lost["ours"], lost["theirs"]) == ("200", "6e+04")
    assert lost["note"] == "150 s since the last checkpoint, 30 s until Ray notices"


def test_a_seed_is_restarted_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_runs, "IMAGES", 60)
    monkeypatch.setattr(cluster_runs, "BATCH", 6)
    assert cluster_runs.restarted(tmp_path, 2)() == 2
    assert cluster_runs.restarted(tmp_path, 3)() == 3
    assert (
        cluster_runs.RunStore(tmp_path, ["classic"]).checkpoints("classic", 0).newest().iteration
        == 3
    )
    assert cluster._timed_process(tmp_path, 4) > 0


@pytest.mark.parametrize("what", ["images", "iterations", "blocks", "seeds"])
def test_what_grows_has_an_exponent(monkeypatch, what):
    monkeypatch.setattr(scale, "TIMES", (1, 2))
    monkeypatch.setattr(scale, "SIZES", {what: ({"images": 100}.get(what, 1), 0)})
    made = iter([{"memory": 10.0, "start-up": 1.0}, {"memory": 15.0, "start-up": 4.0}])
    monkeypatch.setattr(scale_runs, "grown", lambda what, size: lambda: next(made))
    rows = measured(scale, what)
    assert rows["ratio"].to_list() == ["1.500", "4.000"]
    assert rows["expected"].to_list() == ["2.000", "2.000"]
    assert rows["note"].to_list() == ["exponent 0.58", "exponent 2.00"]


def test_memory_and_start_are_those_of_a_comparison():
    before = megabytes("VmHWM")
    made = scale_runs.grown("seeds", 2)()
    assert made["start-up"] > 0
    assert made["memory"] >= megabytes("VmHWM") - before


@pytest.fixture
def small_imagenet(monkeypatch):
    """Two blocks a stage, for images of 32×32."""
    network = resnet(18, (32, 32, 3), 10, filters=(4, 4, 8, 8))
    ends = {"the stem": 1, "stage 1": 3, "stage 4": 9}
    for name, value in {"SHAPE": (32, 32, 3), "ENDS": ends, "PARTS": 3, "EXAMPLES": 1000}.items():
        monkeypatch.setattr(imagenet, name, value)
    monkeypatch.setattr(imagenet, "_network", lambda: network)
    yield network
    imagenet._costs.cache_clear()
    imagenet._features.cache_clear()


def test_rows_of_the_imagenet_suite(small_imagenet):
    imagenet._costs.cache_clear()
    imagenet._features.cache_clear()
    rows = measured(imagenet, "exchange", "features", "reading")
    count = sum(weight.shape.num_elements() for weight in small_imagenet.trainable_weights)
    sent = rows.loc["0 of 9 blocks frozen: sent by a device in a step", "ours"]
    assert float(sent) == pytest.approx(2 * 7 / 8 * 4 * count / 1e6, rel=1e-3)
    classifier = sum(w.shape.num_elements() for w in small_imagenet.layers[-1].trainable_weights)
    last = rows.loc["9 of 9 blocks frozen: sent by a device in a step", "ours"]
    assert float(last) == pytest.approx(2 * 7 / 8 * 4 * classifier / 1e6, rel=1e-3)
    steps = rows[rows.index.str.contains("step of 32 images")]
    assert (steps["ratio"].astype(float).diff().dropna() < 0).all()
    size = rows.loc["after stage 1, float32"]
    assert float(size["ours"]) == pytest.approx(8 * 8 * 4 * 4 / 1e6, rel=1e-3)
    assert size["note"] == "all images: 0.000 TB"
    assert rows.loc["after stage 1, bfloat16", "ratio"] == "0.500"
    assert 0 < float(rows.loc["after stage 1, float32, compressed", "ratio"]) < 1.1
    read = rows[rows.index.str.endswith("compressed in memory")]
    assert len(read) == 3
    assert read["note"].str.contains(r"above \d+ MB/s here, 8 × \d+\.\d GB/s").all()


def test_features_are_those_of_the_network(small_imagenet):
    imagenet._features.cache_clear()
    photographs = imagenet._photographs()
    assert photographs.shape == (3, 32, 32, 3)
    assert 0.1 < photographs.mean() < 0.9
    made = imagenet._features()["stage 1"]
    np.testing.assert_allclose(imagenet._prefix(3)(photographs), made, rtol=1e-3, atol=1e-4)
