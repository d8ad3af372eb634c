"""TFModel through BatchFlow's own steps: init, import, train, predict, save and load."""

import numpy as np
import pytest
from batchflow import B, C, Config, Dataset, F, V

from batch import ResBatch, ResNet, StochasticResNet, TFModel, openset

CONFIG = {
    "inputs": {
        "images": {"shape": (8, 8, 1)},
        "labels": {"classes": 3, "transform": "ohe", "dtype": "int64", "name": "targets"},
    },
    "input_block/inputs": "images",
    "loss": "softmax_cross_entropy",
    "optimizer": ("Adam", {"learning_rate": 0.003}),
    "output": {"ops": ["accuracy"]},
}
SHALLOW = {"depth": 18, "num_blocks": [1, 1], "filters": [4, 8]}
FEED = {"images": B("images"), "labels": B("labels")}


@pytest.fixture
def dataset(examples):
    return Dataset(len(examples[1]), ResBatch, preloaded=examples)


@pytest.fixture
def config(blocks):
    optimizer = ("SGD", {"learning_rate": 0.03, "momentum": 0.9})
    return {**CONFIG, "network": blocks(), "optimizer": optimizer}


def steps(pipeline, count=3, **options):
    for _ in range(count):
        pipeline.next_batch(20, n_epochs=None, shuffle=2, **options)
    return pipeline


def test_the_notebooks_pipelines():
    dset = openset("digits")
    inputs = {"images": {"shape": (28, 28, 1)}, "labels": {"classes": 10, "name": "targets"}}
    # The notebook itself, which another test runs, has them with ResNet50.
    for name, model, more in (("resnet", ResNet, {}), ("stochastic", StochasticResNet, SHALLOW)):
        config = {**CONFIG, "inputs": inputs, **more}
        train = (
            dset.train.p.init_model(name, model, "dynamic", config=config)
            .init_variable("loss", default=[])
            .train_model(name, feed_dict=FEED, save_to=V("loss", mode="a"))
        )
        test = (
            dset.test.p.init_variable("acc", default=[])
            .import_model(name, train)
            .predict_model(
                name, fetches="output_accuracy", feed_dict=FEED, save_to=V("acc", mode="a")
            )
        )
        for _ in range(2):
            train.next_batch(40, n_epochs=None, shuffle=True)
            test.next_batch(40, n_epochs=None, shuffle=True)
        assert type(train.m(name)) is model
        assert test.m(name) is train.m(name)
        assert len(train.v("loss")) == len(test.v("acc")) == 2
        assert train.m(name).iteration == 2
        assert np.isfinite(train.v("loss")).all()
        assert 0 <= test.v("acc")[1] <= 1
    assert int(train.m("stochastic").network.layers[1].steps) == 2


def test_the_ways_to_feed_are_the_same(dataset, config):
    losses = []
    named = {"images": B.images, "targets": B.labels, "indices": B.indices}
    for mode, arguments, keywords in (
        ("dynamic", (), {"feed_dict": FEED}),
        ("static", (), {"feed_dict": FEED}),
        ("dynamic", (), {"feed_dict": named}),
        ("static", (B.images, B.labels), {}),
        ("dynamic", (), {"images": B.images, "labels": B.labels, "fetches": "loss"}),
    ):
        pipeline = (
            dataset.p.init_variable("loss", default=[])
            .init_model("net", TFModel, mode, config=config)
            .train_model("net", *arguments, **keywords, save_to=V("loss", mode="a"))
        )
        losses.append(steps(pipeline).v("loss"))
    assert all(each == losses[0] for each in losses)
    assert len(losses[0]) == 3


def test_named_expressions_in_the_config(dataset, blocks):
    config = {
        "inputs": {
            "images": {"shape": F(lambda images: images.shape[1:])(B.images)},
            "labels": {"classes": C("classes")},
        },
        "network": blocks(),
        "optimizer": ("SGD", {"learning_rate": V("rate")}),
        "seed": B("size"),
    }
    pipeline = (
        dataset.pipeline(config={"classes": 3})
        .init_variable("rate", default=0.25)
        .init_model("net", TFModel, "dynamic", config=config)
        .train_model("net", B.images, B.labels)
    )
    model = steps(pipeline, 1).m("net")
    assert model.inputs.shape == (8, 8, 1)
    assert model.classes == 3
    assert model.trainer.schedule(0)[0] == 0.25
    assert model.config["seed"] == 20
    with pytest.raises(ValueError, match=r"config/seed is a named expression, .* 'dynamic'"):
        dataset.p.init_model("net", TFModel, "static", config={**CONFIG, "seed": B("size")})


def test_several_fetches_in_training_and_prediction(dataset, config):
    names = ["loss", "output_accuracy", "output_proba"]
    pipeline = (
        dataset.p.init_variable("loss", default=[])
        .init_variable("acc", default=[])
        .init_variable("labels")
        .init_model("net", TFModel, "dynamic", config=config)
        .train_model(
            "net",
            feed_dict=FEED,
            fetches=names[:2],
            save_to=[V("loss", mode="a"), V("acc", mode="a")],
        )
        .predict_model("net", B.images, fetches="output_labels", save_to=V("labels"))
        .predict_model("net", B.images, B.labels, fetches=names, save_to=B("all"))
    )
    batch = pipeline.next_batch(20, n_epochs=None, shuffle=2)
    assert [len(pipeline.v(name)) for name in ("loss", "acc", "labels")] == [1, 1, 20]
    loss, accuracy, probabilities = batch.all
    assert accuracy == (probabilities.argmax(1) == batch.labels).mean()
    np.testing.assert_array_equal(probabilities.argmax(1), pipeline.v("labels"))
    assert loss != pipeline.v("loss")[0]  # after the update, in inference mode


def test_models_may_be_imported_before_they_have_trained(dataset, config):
    train = dataset.p.init_model("net", TFModel, "dynamic", config=config).train_model(
        "net", feed_dict=FEED
    )
    test = (
        dataset.p.init_variable("acc", default=[])
        .import_model("net", train)
        .predict_model("net", fetches="output_accuracy", feed_dict=FEED, save_to=V("acc", mode="a"))
    )
    steps(test, 1)
    steps(train, 2)
    steps(test, 1)
    assert test.m("net") is train.m("net")
    assert train.m("net").iteration == 2
    imported = dataset.p.init_model("net", source=train).train_model("net", feed_dict=FEED)
    steps(imported, 1)
    assert train.m("net").iteration == 3


def test_config_may_be_batchflows(dataset, config):
    pipeline = dataset.p.init_model("net", TFModel, "dynamic", config=Config(config)).train_model(
        "net", feed_dict=FEED
    )
    assert steps(pipeline, 1).m("net").inputs.one_hot


@pytest.mark.parametrize("how", ["load_model_now", "load_model", "static"])
def test_save_and_load_go_on_as_if_nothing_had_been(dataset, config, tmp_path, how):
    path = str(tmp_path / "net.zip")

    def training(pipeline):
        return pipeline.init_variable("loss", default=[]).train_model(
            "net", feed_dict=FEED, save_to=V("loss", mode="a")
        )

    first = training(dataset.p.init_model("net", TFModel, "dynamic", config=config))
    steps(first, 1)
    first.save_model_now("net", path=path)
    first.next_batch(20, n_epochs=None, shuffle=2)
    if how == "load_model":
        second = training(dataset.p.load_model("net", TFModel, "dynamic", path=path))
    else:
        second = training(dataset.p)
        mode = "static" if how == "static" else "dynamic"
        second.load_model_now("net", TFModel, mode, path=path)
    if how != "load_model":  # which is made anew for every batch
        steps(second, 1)  # the batch that the first pipeline had before it saved
        second.load_model_now("net", TFModel, "dynamic", path=path)
        steps(second, 1)
    else:
        steps(second, 2)
    assert second.m("net").iteration == 2
    assert second.v("loss")[1] == first.v("loss")[1]


def test_save_model_once_saves_after_the_last_batch(dataset, config, tmp_path):
    path = str(tmp_path / "net.zip")
    pipeline = (
        dataset.p.init_model("net", TFModel, "dynamic", config=config)
        .train_model("net", feed_dict=FEED)
        .save_model_once("net", path=path)
    )
    pipeline.run(20, n_epochs=1, shuffle=2)
    loaded = TFModel({"load": {"path": path}})
    assert loaded.iteration == 3
    for value, expected in zip(
        loaded.network.get_weights(), pipeline.m("net").network.get_weights()
    ):
        np.testing.assert_array_equal(value, expected)


def test_pipelines_that_prefetch_one_model_do_not_corrupt_it(dataset, config, examples):
    def first():
        return dataset.p.init_model("net", TFModel, "dynamic", config=config).train_model(
            "net", feed_dict=FEED
        )

    train = first()
    steps(train, 1)
    other = (
        dataset.p.init_variable("acc", default=[])
        .import_model("net", train)
        .train_model("net", feed_dict=FEED)
        .predict_model("net", fetches="output_accuracy", feed_dict=FEED, save_to=V("acc", mode="a"))
    )
    batches = zip(
        train.gen_batch(20, n_epochs=4, shuffle=1, prefetch=3),
        other.gen_batch(20, n_epochs=4, shuffle=1, prefetch=3),
    )
    assert len(list(batches)) == 12
    assert train.m("net").iteration == 25
    assert train.m("net").predict(*examples, fetches="loss") < 3
    assert len(other.v("acc")) == 12


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ({"images": B.images}, "Training needs labels, and none were given"),
        ({"labels": B.labels}, "The feed lacks images. Expected: images, labels"),
        ({"images": B.images, "label": B.labels}, "Unknown names in the feed: label"),
        ({"images": B.labels, "labels": B.labels}, r"images must be \(N, H, W\)"),
        ({**FEED, "indices": [1, 2]}, "number for each of the 20 images"),
    ],
)
def test_bad_feeds_are_refused(dataset, config, feed, message):
    pipeline = dataset.p.init_model("net", TFModel, "dynamic", config=config).train_model(
        "net", feed_dict=feed
    )
    with pytest.raises(ValueError, match=message):
        steps(pipeline, 1)
    both = dataset.p.init_model("net", TFModel, "dynamic", config=config).train_model(
        "net", B.images, feed_dict=FEED
    )
    with pytest.raises(ValueError, match="a feed_dict, or images and labels, not both"):
        steps(both, 1)
