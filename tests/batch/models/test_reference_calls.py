"""The calls of the reference documents run as they stand, or as the error says."""

import blosc
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from batchflow import B, Dataset, DatasetIndex, V

import utils
from batch import FadeIn, FreezeOut, ResBatch, TFModel, WideResNet, as_blocks, ax_draw
from batch.data.blk import write_blk
from batch.networks.wide_resnet import wide_resnet
from utils import load_data

FEED = {"images": B("images"), "labels": B("labels")}
CONFIG = {
    "inputs": {
        "images": {"shape": (8, 8, 1)},
        "labels": {"classes": (3), "transform": "ohe", "dtype": "int64", "name": "targets"},
    },
    "input_block/inputs": "images",
    "loss": "softmax_cross_entropy",
    "optimizer": "Adam",
    "output": {"ops": ["accuracy"]},
}


def layers():
    convolution = keras.layers.Conv2D(2, 3, strides=2, activation="relu")
    return [convolution, keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])]


def test_the_notebook_on_freezeout(examples):
    images, labels = examples
    params = {"iteration": [4], "learning_rate": [0.06], "degree": [1], "scaled": [False]}
    params = pd.DataFrame(dict(sorted(params.items()))).values[0]
    ix = DatasetIndex(range(50))
    res_loss, freeze_loss = [], []
    test_dset = Dataset(ix, ResBatch)
    own = {"network": layers()}  # in place of the small ResNet, to be quick
    test_pipeline = test_dset.pipeline(config={"resnet": own}).train_res(
        res_loss, images[:50], labels[:50]
    )
    config = {
        "freeznet": {
            **own,
            "iteration": params[1],
            "degree": params[0],
            "learning_rate": params[2],
            "scaled": params[3],
        }
    }
    dataset = Dataset(ix, batch_class=ResBatch)
    train_pipeline = dataset.pipeline(config=config).train_freez(
        freeze_loss, images[:50], labels[:50]
    )
    for _ in range(2):
        test_pipeline.next_batch(30, n_epochs=None, shuffle=2)
        train_pipeline.next_batch(30, n_epochs=None, shuffle=2)
    assert len(res_loss) == len(freeze_loss) == 2
    for draw in (ax_draw, utils.ax_draw):
        axis = draw(freeze_loss[:2], res_loss[:2], params, plt.subplots()[1])
        assert axis.get_title() == "learning rate 0.06, degree 1, iteration 4, unscaled"
    plt.close("all")


def test_the_notebook_on_stochastic_depth(examples):
    dset = Dataset(60, ResBatch, preloaded=examples)
    config = {**CONFIG, "network": layers()}
    with pytest.raises(DeprecationWarning, match="<model name>, <model class>, <mode>, <config>"):
        dset.p.init_model("dynamic", TFModel, "resnet", config=config)
    train = dset.p.init_model("resnet", TFModel, "dynamic", config=config).train_model(
        "resnet", feed_dict=FEED
    )
    published = {"fetches": "output_accuracy", "feed_dict": FEED}
    wrong = (
        dset.p.init_variable("resacc", init_on_each_run=list)
        .import_model("resnet", train)
        .predict_model("resnet", **published, save_to=V("resacc"), mode="a")
    )
    test = dset.p.init_variable("resacc", default=[]).import_model("resnet", train)
    train.next_batch(40, n_epochs=None, shuffle=True)
    said = r"save_to=V\('acc', mode='a'\), after init_variable\('acc', default=\[\]\)"
    with pytest.raises(TypeError, match=said):
        wrong.next_batch(40, n_epochs=None, shuffle=True)
    test = test.predict_model("resnet", **published, save_to=V("resacc", mode="a"))
    test.next_batch(40, n_epochs=None, shuffle=True)
    resacc = test.get_variable("resacc")
    assert len(resacc) == 1
    utils.draw(resacc, "ResNet", resacc, "Stochastic", window=20, type_data="accuracy")
    plt.close("all")


def test_the_questions_on_freezing(examples):
    first, classifier = layers()
    base = keras.Sequential([keras.Input((8, 8, 1)), first, classifier])
    first.trainable = False
    config = {**CONFIG, "network": base}
    model = TFModel(config)
    before = model.network.layers[0].get_weights()
    model.train(*examples)
    np.testing.assert_array_equal(model.network.layers[0].get_weights()[0], before[0])
    TFModel({**config, "inference_mode": [classifier.name]}).train(*examples)
    new = FadeIn(keras.layers.Conv2D(2, 1, name="new"), iterations=3)
    grown = TFModel({**CONFIG, "network": [first, new, classifier]})
    grown.train(*examples)
    assert float(grown.network.layers[1].alpha) == pytest.approx(1 / 3)


class BatchNormalization(keras.layers.BatchNormalization):
    """The class of the question: not trainable, it shall run in inference mode."""

    python_only = False

    def call(self, x, training=False):
        if self.python_only:
            return super().call(x, training=training and self.trainable)
        if not training:
            training = tf.constant(False)
        return super().call(x, tf.logical_and(training, self.trainable))


def test_the_question_on_a_class_of_batch_normalization(examples):
    def network():
        front = keras.Sequential([keras.layers.Conv2D(2, 3), BatchNormalization()], name="front")
        return [front, layers()[1]]

    config = {"inputs": CONFIG["inputs"], "freeze": ["front"]}
    model = TFModel({**config, "network": network()})
    message = "The layers of front must not .* `training and self.trainable` .* BatchNormalization"
    with pytest.raises(TypeError, match=message):
        model.train(*examples)
    assert model.iteration == 0
    BatchNormalization.python_only = True
    try:
        model = TFModel({**config, "network": network()})
        before = model.network.layers[0].get_weights()
        model.train(*examples)
    finally:
        BatchNormalization.python_only = False
    for was, weights in zip(before, model.network.layers[0].get_weights()):
        np.testing.assert_array_equal(weights, was)


def test_the_question_on_a_frozen_embedding():
    words = np.random.default_rng(0).integers(0, 50, (12, 7))
    embedding = keras.layers.Embedding(50, 4, name="embedding")
    embedding.trainable = False
    behind = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    inputs = {"images": {"shape": (7,)}, "labels": {"classes": 3}}
    model = TFModel({"inputs": inputs, "network": [embedding, behind]})
    (before,) = model.network.layers[0].get_weights()
    model.train(words, np.arange(12) % 3, indices=np.arange(12))
    np.testing.assert_array_equal(model.network.layers[0].get_weights()[0], before)
    assert model.frozen == 1


@pytest.mark.parametrize("trainable", [True, False])
def test_the_question_on_a_base_in_inference_mode(trainable, examples):
    images = examples[0].astype(np.float32) / 255
    body = [keras.layers.Conv2D(2, 3, name="conv"), keras.layers.BatchNormalization(name="bn")]
    base = keras.Sequential([keras.Input((8, 8, 1)), *body], name="base")
    base.trainable = trainable
    inputs = keras.Input((8, 8, 1))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(base(inputs, training=False))
    tuned = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    config = {"inputs": CONFIG["inputs"], "network": as_blocks(tuned, ["base", "pool"])}
    model = TFModel({**config, "inference_mode": ["base"]})
    before = model.network.layers[0].get_weights()
    model.train(images, examples[1], indices=np.arange(60))
    kernel, _, *_, mean, variance = model.network.layers[0].get_weights()
    np.testing.assert_array_equal([mean, variance], before[-2:])
    assert (kernel != before[0]).any() == trainable


def test_the_question_on_layers_side_by_side(examples):
    inputs = keras.Input((8, 8, 1))
    paths = [keras.layers.Conv2D(2, size, padding="same")(inputs) for size in (3, 5)]
    joined = keras.layers.Concatenate(name="joined")(paths)
    flat = keras.layers.Flatten(name="flat")(joined)
    network = as_blocks(keras.Model(inputs, keras.layers.Dense(3)(flat)), ["joined", "flat"])
    model = TFModel({"inputs": CONFIG["inputs"], "network": network})
    assert np.isfinite(model.train(examples[0].astype(np.float32), examples[1]))


def test_the_article_on_wide_resnets(examples):
    with pytest.raises(TypeError, match=r"WideResNet\({'inputs': …, 'widen_factor': 1}\)"):
        WideResNet(widen_factor=1)
    config = {"inputs": CONFIG["inputs"], "depth": 10}
    widths = [WideResNet({**config, "widen_factor": width}).network for width in (1, 2)]
    assert widths[0].count_params() == wide_resnet((8, 8, 1), 3, 10, 1).count_params()
    assert widths[0].count_params() < widths[1].count_params()
    softmax = [*layers(), keras.layers.Softmax()]
    with pytest.raises(ValueError, match=r"must give logits, .* ends in softmax: make it without"):
        TFModel({"inputs": CONFIG["inputs"], "network": softmax})
    own = {"network": [*layers(), keras.layers.Activation("log_softmax")]}
    own |= {"loss": "CrossEntropyLoss", "optimizer": keras.optimizers.Adam(0.01)}
    losses = []
    pipeline = (
        Dataset(60, ResBatch, preloaded=examples)
        .pipeline(config={"resnet": own})
        .add_loss_weights(id_to_mask=0)
        .train_res(losses)
    )
    pipeline.next_batch(20)
    assert len(losses) == 1


def test_the_published_estimate():
    # calc_speedup(growthRate, nDenseBlocks, t_0, how_scale) in the program's utils
    assert round(100 * utils.calc_speedup(12, 76, 0.8, "cubic"), 1) == 17.8
    with pytest.raises(ValueError, match=r"depth must be 6n \+ 4, as 40 or 76\. Received: 12"):
        utils.calc_speedup(12, 12, 0.8, "cubic")


@pytest.mark.parametrize(
    "arguments",
    [
        {"second": [0.3, 0.2], "second_label": "Stochastic"},
        {"type_data": "accuracy", "window": 2},
        {"bound": [0, 2, 0, 1]},
    ],
)
def test_the_plot_of_the_notebooks(arguments):
    axis = utils.draw([0.5, 0.4], "ResNet", **arguments)
    assert len(axis.lines) == 2 * (1 + ("second" in arguments))
    plt.close("all")


def test_the_rates_that_the_notebook_draws():
    degree, iteration, learning_rate = 3, 300, 0.04
    axis = utils.draw_rates(FreezeOut(5, iteration, learning_rate, 0.6, degree, scaled=False))
    for number, line in enumerate(axis.lines, 1):
        last = iteration * (number / 10 + 0.5) ** degree
        expected = 0.5 * learning_rate * (1 + np.cos(np.pi * line.get_xdata() / last))
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
        assert len(expected) == np.ceil(last)
    plt.close("all")


def test_the_files_that_the_notebook_reads(examples, tmp_path):
    images, labels = (np.concatenate([part] * 2) for part in examples)
    for name, array in (("mnist_pics.blk", images[..., 0]), ("mnist_labels.blk", labels)):
        write_blk(tmp_path / name, array)
        np.testing.assert_array_equal(blosc.unpack_array((tmp_path / name).read_bytes()), array)
    data = load_data(str(tmp_path))
    np.testing.assert_array_equal(data.train.images, images[: len(data.train.labels)])
    np.testing.assert_array_equal(data.test.images, images[-len(data.test.labels) :])
