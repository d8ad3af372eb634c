import contextlib
import importlib

import keras
import numpy as np
import pandas as pd
import pytest

from batch.networks import efficientnet
from batch.networks.efficientnet import efficientnet_lite0
from research.benchmarks import finetune, finetune_keras, finetune_ours, harness
from research.benchmarks.finetune_case import Case

STAGES = ((1, 3, 1, 1, 4), (2, 5, 2, 2, 8))
IMAGENET = efficientnet.IMAGENET


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A function that writes a small EfficientNet and few images, and gives their case."""

    def prepare(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(efficientnet, "STAGES", STAGES)
            layers = efficientnet_lite0((9, 9, 3), 10).layers
        case = Case("efficientnet_lite0", str(folder), (9, 9, 3), ["block2", "head"], STAGES)
        case = finetune.dataclasses.replace(case, normalize=IMAGENET, batch_size=4, epochs=2)
        case.further, case.rates = 1, (0.01, 0.001)
        rng = np.random.default_rng(0)
        pairs = [part for pair in finetune_ours.convolutions(layers) for part in pair]
        arrays = [array for part in pairs for array in part.get_weights()]
        # Scales and statistics of their own, so that their order counts.
        case.save_weights([array + rng.uniform(0.1, 0.2, array.shape) for array in arrays])
        for split in ("train", "test"):
            case.save(split, rng.integers(0, 256, (8, 9, 9, 3), np.uint8), np.arange(8) % 10)
        return case

    return prepare


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(efficientnet, "STAGES", STAGES)


def in_this_process(make, arguments, environment):
    """As `Process`, for versions that run here."""
    module, function = make.split(":")
    return contextlib.nullcontext(getattr(importlib.import_module(module), function)(**arguments))


def test_rows_of_the_finetune_suite(toy, monkeypatch):
    chosen = (
        finetune.OURS,
        finetune.NO_CACHE,
        "ours, under Keras' fit",
        "Keras, features by predict",
    )
    versions = {name: finetune.VERSIONS[name] for name in chosen}
    versions["another"] = finetune.FIT, finetune.FIRST_ALONE, {}, "no_such_package"
    monkeypatch.setattr(finetune, "VERSIONS", versions)
    rows = finetune.rows("toy", toy, 1, in_this_process)
    rows = pd.DataFrame(rows, columns=harness.COLUMNS)
    first, second = "toy, new classifier, 2 epochs", "toy, and last stage, 1 epochs"
    assert rows["what"].tolist() == [first] * 4 + [second]
    peers = [*chosen[1:], "another: not installed", finetune.NO_CACHE]
    assert rows["peer"].tolist() == peers
    rows = rows.drop(3)
    assert (rows["ratio"].astype(float) > 0).all()
    assert "all 4 losses equal bit for bit" in rows["note"][0]
    assert "all 2 losses equal bit for bit" in rows["note"][4]
    assert rows["note"].str.contains(r"^\S+ MB, \S+ MB; accuracy 0\.\d+, 0\.\d+").all()


def test_losses_that_differ_are_counted():
    run = {"megabytes": 1.0, "accuracy": None, "waited": 0.2}
    ours = [{**run, "losses": [1.0, 2.0, 3.0]}]
    late = [{**run, "waited": 7.4}]
    assert finetune._note(ours, late, False) == "1 MB, 1 MB; 7 s more in waits"
    theirs = [{**run, "losses": [1.0, np.nextafter(2.0, 3.0), 3.5]}]
    assert finetune._note(ours, theirs, True) == "1 MB, 1 MB; 2 of 3 losses differ in bits"
    assert finetune._note(ours, ours, True) == "1 MB, 1 MB; all 3 losses equal bit for bit"
    assert finetune._note(ours, theirs, False) == "1 MB, 1 MB"


@pytest.mark.parametrize("error", [ImportError("no weights"), finetune.DataError("no images")])
def test_what_is_missing_is_named(error):
    def prepare(folder):
        raise error

    (row,) = finetune.rows("toy", prepare, 1)
    assert row[:3] == ("toy", "", f"not measured: {error}")
    assert len(row) == len(harness.COLUMNS)


def test_all_versions_have_the_same_base(toy, tmp_path):
    case = toy(tmp_path)
    images = case.examples("test")[0]
    ours, _ = finetune_ours._efficientnet(case)
    features = (images / 255 - IMAGENET["mean"]) / IMAGENET["std"]
    for layer in ours[:-1]:
        features = layer(features, training=False)
    expected = np.mean(features, (1, 2))
    assert expected.std() > 0.01
    stock = keras.Model(*finetune_keras._features(case, finetune_keras._base(case)))
    np.testing.assert_allclose(stock.predict(images, verbose=0), expected, rtol=1e-3, atol=1e-4)
    torch = pytest.importorskip("torch")
    from research.benchmarks import finetune_torch, torch_bases

    base, channels = torch_bases.efficientnet_lite0(case)
    theirs = finetune_torch._features(base.eval(), torch.from_numpy(images), IMAGENET)
    assert channels == expected.shape[1]
    np.testing.assert_allclose(theirs, expected, rtol=1e-3, atol=1e-4)


def test_keras_trains_the_last_stage_alone(toy, tmp_path, monkeypatch):
    case = toy(tmp_path)
    base = finetune_keras._base(case)
    before = {weight.path: weight.numpy() for weight in base.weights}
    monkeypatch.setattr(finetune_keras, "_base", lambda _: base)
    phases = finetune_keras.fitted(**finetune.dataclasses.asdict(case))()
    assert all(made["seconds"] > 0 and 0 <= made["accuracy"] <= 1 for made in phases)
    moved = [w.path for w in base.weights if (w.numpy() != before[w.path]).any()]
    assert {path.split("/")[0].split("_")[0] for path in moved} == {"block2", "head"}
    assert not any("moving" in path for path in moved)


def test_pytorch_learns_on_the_frozen_base(toy, tmp_path):
    pytest.importorskip("torch")
    case = toy(tmp_path)
    more = {"epochs": 30, "rates": (1e-4, 1e-4), **finetune.FIRST_ALONE}
    arguments = finetune.dataclasses.asdict(case) | more
    with in_this_process(finetune.TORCH, arguments, {}) as run:
        (made,) = run()
    assert sum(made["losses"][-2:]) < sum(made["losses"][:2])
    assert 0 <= made["accuracy"] <= 1


def test_the_bases_of_both_libraries_have_the_same_weights():
    pytest.importorskip("torch")
    from research.benchmarks import torch_bases

    case = Case("resnet50", "", (32, 32, 3), ["conv5"])
    base, channels = torch_bases.resnet50(case)
    theirs = sorted(tuple(one.shape) for one in base.parameters())
    keras_base = finetune_keras._base(case)
    ours = sorted(
        tuple(np.transpose(one, (3, 2, 0, 1)).shape) if one.ndim == 4 else tuple(one.shape)
        for one in keras_base.trainable_weights
    )
    assert ours == theirs
    assert channels == keras_base.output.shape[-1]


def test_the_order_of_a_case_is_a_new_one_each_epoch():
    case = Case("", "", (1, 1, 1), [], batch_size=4, seed=3)
    batches = list(case.batches(2, 10))
    assert [len(rows) for rows in batches] == [4, 4, 2] * 2
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert (first != second).any()
    again = Case("", "", (1, 1, 1), [], batch_size=4, seed=3).batches(2, 10)
    assert np.array_equal(np.concatenate(list(again)), [*first, *second])
