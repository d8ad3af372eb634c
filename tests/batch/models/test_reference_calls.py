"""The calls of the reference documents run as they stand, or as the error says."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from batchflow import B, Dataset, DatasetIndex, V

import utils
from batch import FadeIn, ResBatch, TFModel, WideResNet, ax_draw
from batch.networks.wide_resnet import wide_resnet

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
    test = dset.p.init_variable("resacc", default=[]).import_model("resnet", train)
    published = {"fetches": "output_accuracy", "feed_dict": FEED}
    wrong = test + dset.p.predict_model("resnet", **published, save_to=V("resacc"), mode="a")
    train.next_batch(40, n_epochs=None, shuffle=True)
    with pytest.raises(TypeError, match=r"save_to=V\('acc', mode='a'\)"):
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


def test_the_article_on_wide_resnets(examples):
    with pytest.raises(TypeError, match=r"WideResNet\({'inputs': …, 'widen_factor': 1}\)"):
        WideResNet(widen_factor=1)
    config = {"inputs": CONFIG["inputs"], "depth": 10}
    widths = [WideResNet({**config, "widen_factor": width}).network for width in (1, 2)]
    assert widths[0].count_params() == wide_resnet((8, 8, 1), 3, 10, 1).count_params()
    assert widths[0].count_params() < widths[1].count_params()
    losses = []
    pipeline = (
        Dataset(60, ResBatch, preloaded=examples)
        .pipeline(config={"resnet": {"network": layers()}})
        .add_loss_weights(id_to_mask=0)
        .train_res(losses)
    )
    pipeline.next_batch(20)
    assert len(losses) == 1
