import contextlib
import importlib.util
import itertools
import time
import types

import keras
import numpy as np
import pandas as pd
import pytest

from batch.flops import block_costs
from batch.networks.wide_resnet import BLOCKS, wide_resnet
from research.benchmarks import (
    cache,
    freezeout,
    freezing,
    growth,
    harness,
    networks,
    precision,
    saving,
    step,
    stochastic,
    stock,
    wide,
)
from research.benchmarks.harness import compared, in_turn, in_turns_of, whole_turn
from research.benchmarks.small import random_examples
from research.benchmarks.stock import stock_network


def measured(suite, repetitions, batch_size):
    """The rows of all parts of a suite."""
    rows = [row for part in suite.parts() for row in part.rows(repetitions, batch_size)]
    assert all(len(row) == len(harness.COLUMNS) for row in rows)
    return pd.DataFrame(rows, columns=harness.COLUMNS)


def test_versions_take_turns():
    calls = []
    seconds = in_turn({name: lambda name=name: calls.append(name) for name in "ab"}, 2, warm_up=1)
    assert calls == ["a", "b"] * 3
    assert seconds["a"].shape == (2,)


def test_a_turn_has_so_many_steps_of_a_version():
    calls, whole = [], []
    versions = {
        "step": lambda: calls.append("step"),
        "turn": whole_turn(4, lambda: whole.append(1)),
    }
    seconds = in_turns_of(4, versions, 9)
    assert seconds["step"].shape == seconds["turn"].shape == (5,)
    assert (len(calls), len(whole)) == (4 * 6, 6)  # one turn to warm up
    assert in_turns_of(4, versions, 2)["turn"].shape == (2,)


def test_waits_do_not_count(monkeypatch):
    def turn():
        time.sleep(0.2)
        return 0.2

    seconds = in_turns_of(2, {"waits": whole_turn(2, turn)}, 2)["waits"]
    assert (seconds < 0.05).all()

    network, (images, labels) = stock.compiled_network(), random_examples(4)
    clock = itertools.count()
    monkeypatch.setattr(stock, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    assert stock.fit(network, images, labels, batch_size=2, epochs=3) == 6  # one after each batch


def test_a_row_has_medians_their_ratio_and_its_quartiles():
    row = compared("a", np.array([1, 2, 3.0]), "b", np.array([2, 2, 2.0]), 0.9, "said")
    assert row == ("a", "2", "b", "2", "s", "1.000", "0.750–1.250", "0.900", "said")
    row = compared("a", np.array([1, 2, 3.0]), "b", None, unit="MB")
    assert row == ("a", "2", "b: not installed", "", "MB", "", "", "", "")


def test_rows_of_the_freezeout_suite(monkeypatch):
    monkeypatch.setattr(freezeout, "FRESH", 1)
    monkeypatch.setattr(freezeout, "RUN", 20)
    rows = measured(freezeout, 1, 8)
    assert rows["what"][:6].tolist() == [f"{frozen} frozen" for frozen in range(6)]
    assert rows["expected"][[0, 5]].tolist() == ["1.000", "0.337"]
    assert rows["what"].iloc[-1] == "changes of stages in 20 iterations, linear, t_0 0.6"


@pytest.mark.usefixtures("small_networks")
def test_rows_of_the_cache_suite(monkeypatch):
    monkeypatch.setattr(cache, "EXAMPLES", 24)
    monkeypatch.setattr(cache, "STAGES", (2,))
    monkeypatch.setattr(cache, "VISITED", 16)
    monkeypatch.setattr(cache, "VISITS", (1, 3))
    rows = measured(cache, 1, 8)
    assert rows["what"].tolist()[:2] == ["2 frozen, cached"] * 2
    assert rows["peer"].tolist() == [
        "active blocks alone",
        "no cache",
        *["in memory"] * 2,
        *["no cache"] * 2,
        "as it is",
    ]
    assert rows["what"].iloc[-2] == "2 frozen, 3 visits of 16 images, cached"


@pytest.mark.usefixtures("small_networks")
def test_rows_of_the_precision_suite(monkeypatch):
    monkeypatch.setattr(precision, "STEPS", 1)
    rows = measured(precision, 1, 4)
    assert rows["peer"][0] == "float32"
    assert rows["note"].str.startswith("units for bfloat16: ").all()


def test_rows_of_the_growth_suite(monkeypatch):
    monkeypatch.setattr(growth, "EXAMPLES", 20)
    monkeypatch.setattr(growth, "BLOCKS", (4, 2, 8))
    rows = measured(growth, 1, 8)
    expected = rows.set_index("what")["expected"]
    assert expected["batch 4"] == "0.500"
    assert expected["200 examples"] == "1.000"
    assert 1.5 < float(expected["8 residual blocks"]) < 2.5
    assert expected["the last 1 of 4 iterations"] == "1.000"


@pytest.mark.usefixtures("small_networks")
def test_rows_of_the_saving_suite(monkeypatch):
    digits = saving.dataclasses.replace(saving.RUNS["MNIST, small ResNet"][0], data="digits")
    monkeypatch.setattr(saving, "RUNS", {"digits": (digits, 1, True, 0, 0)})
    monkeypatch.setattr(saving, "EVERY", 2)
    monkeypatch.setattr(saving, "GOAL", 0.01)
    monkeypatch.setattr(saving, "METHODS", dict(list(saving.METHODS.items())[1:3]))
    rows = measured(saving, 2, 300)
    assert rows["what"].tolist() == ["digits, annealed", "digits, freezeout"]
    assert rows["ratio"][0] == "1.000"
    assert " points (" in rows["note"][1]
    assert "1.0 % after " in rows["note"][0]


def test_data_that_are_not_there_are_told(monkeypatch):
    lost = saving.dataclasses.replace(saving.RUNS["MNIST, small ResNet"][0], data="lost.npz")
    monkeypatch.setattr(saving, "RUNS", {"lost": (lost, 1, False, 0, 0)})
    rows = measured(saving, 1, 8)
    assert rows["peer"][0].startswith("not measured: ")


def test_the_stock_network_is_the_same_network():
    from batch.networks.resnet import small_resnet

    stock, ours = stock_network(), small_resnet((28, 28, 1), 10)
    shapes = [sorted(map(tuple, (w.shape for w in one.trainable_weights))) for one in (stock, ours)]
    assert shapes[0] == shapes[1]


@pytest.mark.usefixtures("small_networks")
def test_rows_of_the_step_suite(monkeypatch):
    begun = {}

    def begin(make, arguments, around):
        begun[around["KERAS_BACKEND"]] = make, arguments, around["TF_ENABLE_ONEDNN_OPTS"]
        return contextlib.nullcontext(lambda: None)

    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    monkeypatch.setattr(stock, "stock_network", lambda blocks: keras.Sequential(layers))
    monkeypatch.setattr(step, "STEPS", 2)
    monkeypatch.setattr(step, "SIDE", 256)
    monkeypatch.setattr(step, "Process", begin)
    rows = measured(step, 1, 8)
    assert rows["peer"].tolist()[:3] == [step.FIT, "stock Keras, train_on_batch", step.AS_IT_COMES]
    assert (rows["ratio"][:3].astype(float) > 0).all()
    for peer, package in ((step.TORCH, "torch"), (step.JAX, "jax")):
        installed = importlib.util.find_spec(package)
        assert peer + ("" if installed else ": not installed") in rows["peer"].tolist()
    make = "research.benchmarks.stock:small_resnet_fit"
    assert begun["tensorflow"] == (make, {"batch_size": 8, "steps": 2}, None)
    assert ("jax" in begun) == bool(importlib.util.find_spec("jax"))
    kinds = rows[rows["peer"] == "all operations"]
    assert kinds["what"].tolist() == [*step.KINDS, "everything else"]
    assert (kinds["ratio"].astype(float) > 0).all()
    assert kinds["ratio"].astype(float).sum() == pytest.approx(1, abs=0.01)
    peak = rows[rows["note"] != ""].iloc[0]
    share = peak["note"].removesuffix(" % of the peak")
    assert float(share) == pytest.approx(100 / float(peak["ratio"]), abs=0.6)


def test_rows_of_the_stochastic_suite(monkeypatch):
    monkeypatch.setattr(stochastic, "STEPS", 1)
    monkeypatch.delitem(stochastic.NETWORKS, "ResNet50")
    rows = measured(stochastic, 1, 6)
    names = rows["what"].str.split("survival ").str[1]
    assert names.tolist() == ["1.0", "0.75", "0.5", "0.0", "0.5, masked"]
    expected = rows["note"].str.removeprefix("by survival ")
    assert expected.tolist() == ["1.000", "0.800", "0.601", "0.202", "1.000"]
    assert rows["expected"][[0, 3, 4]].tolist() == ["1.000", "0.202", "1.000"]


def test_rows_of_the_networks_suite(monkeypatch):
    from batch import DenseNet, TFModel

    small = {"small": (DenseNet, {"depth": 10, "growth_rate": 4}, "densenet", 0, 0)}
    monkeypatch.setattr(networks, "NETWORKS", small)
    layers = [keras.layers.DepthwiseConv2D(5), keras.layers.Flatten(), keras.layers.Dense(10)]
    depthwise = {"tiny": (TFModel, {"network": layers}, (6, 6, 24))}
    monkeypatch.setattr(networks, "DEPTHWISE", depthwise)
    monkeypatch.setattr(networks, "STEPS", 1)
    rows = measured(networks, 1, 6)
    assert rows["what"].tolist() == [
        *(f"small, batch 1, {frozen} of 6 frozen" for frozen in (2, 3, 4)),
        "small, batch 1",
        "tiny, batch 1, depthwise gradients by shape",
    ]
    expected = rows["expected"][:3].astype(float)
    assert (expected.diff().dropna() < 0).all()


def test_rows_of_the_wide_suite(monkeypatch):
    monkeypatch.setattr(wide, "NETWORKS", [{"depth": 10, "widen_factor": 1, "block": "B(3,1)"}])
    rows = measured(wide, 1, 20)
    assert rows["what"][0] == "WRN-10-1 B(3,1), batch 4"
    assert rows["note"][0].startswith("0.03 M parameters, ")


def test_rows_of_the_freezing_suite():
    rows = freezing.rows("text", 1, 8, memory=False)
    rows = pd.DataFrame(rows, columns=harness.COLUMNS).set_index("what")
    operations = rows["note"].str.extract(r"of (\d+) operations")[0].astype(int)
    # Set after a step, `trainable = False` leaves the graph as it was.
    nothing, front = "text, nothing: {}", "text, front: embedding: {}"
    before, after = freezing.BEFORE, freezing.AFTER
    assert operations[front.format(after)] == operations[nothing.format(before)]
    for version in (before, freezing.OURS):
        assert operations[front.format(version)] < operations[nothing.format(version)]
    assert rows["peer"][nothing.format(freezing.OURS)] == f"nothing: {before}"


def test_memory_is_that_of_a_process_of_its_own():
    # The embedding, its gradient and its momentum: 51 MB each.
    assert freezing._memory("text", "nothing", freezing.OURS, 4) > 150


def test_the_peers_networks_are_the_same_networks():
    torch_networks = pytest.importorskip("research.benchmarks.torch_networks")
    for block in BLOCKS:
        options = {"depth": 16, "widen_factor": 2, "block": block}
        peer = torch_networks.wide_resnet(10, **options)
        ours = block_costs(wide_resnet((32, 32, 3), 10, **options))
        assert sum(cost.parameters for cost in ours) == sum(
            one.numel() for one in peer.parameters()
        )
        assert sum(cost.forward for cost in ours) == products(peer)


def products(network):
    """Multiply-adds of a PyTorch network's convolutions and dense layers for an image."""
    import torch

    counted = []

    def count(layer, _, outputs):
        each = layer.weight[0].numel()  # what goes into one number of the output
        counted.append(each * outputs[0].numel())

    for layer in network.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    network(torch.zeros(2, 3, 32, 32))
    return sum(counted)
