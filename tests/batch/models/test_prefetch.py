"""With `prefetch`, models are trained and tested as without; only loading runs ahead."""

import concurrent.futures
import gc
import threading

import keras
import numpy as np
import pytest
from batchflow import B, C, Dataset, DatasetIndex, Pipeline, R, V, action
from batchflow.exceptions import SkipBatchException
from batchflow.pipeline_executor import PipelineExecutor

from batch import ResBatch, TFModel
from batch.models.prefetch import in_order

THREAD = "loaded in"  # an attribute of batches


class Loads(ResBatch):
    """Batches that must be loaded, and come with noise."""

    @action
    def load_images(self, images, labels, amount=1, skip=()):
        if self.indices[0] in skip:
            raise SkipBatchException
        self.images = images[self.indices] + amount * self.random.normal(size=(8, 8, 1))
        self.labels = labels[self.indices]
        setattr(self, THREAD, threading.current_thread())
        return self

    @action
    def dim(self):
        self.images = self.images * self.random.uniform(0.5, 1)
        return self


class Foreign:
    """A model of another library."""

    def __init__(self, config=None):
        self.threads = []

    def train(self, images):
        self.threads.append(threading.current_thread().name)
        return float(np.mean(images))


@pytest.fixture
def network():
    head = [keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="zeros")]
    stem = keras.layers.Conv2D(2, 3, 4, name="stem", kernel_initializer="ones")
    return [stem, keras.Sequential(head, name="head")]


@pytest.fixture
def parts(examples, network):
    """Examples, the config of a model, a dataset of examples, and a pipeline that loads them."""
    examples = np.float32(examples[0] / 255), examples[1]
    inputs = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
    loading = Dataset(DatasetIndex(range(60)), Loads).p.init_variable("loss", default=[])
    return {
        "examples": examples,
        "config": {"network": network, "inputs": inputs},
        "dataset": Dataset(60, ResBatch, preloaded=examples),
        "loading": loading.load_images(*examples),
    }


def kept():
    """Where a loss goes; a named expression belongs to the first pipeline that uses it."""
    return {"save_to": V("loss", mode="a")}


def train(pipeline):
    return pipeline.train_model("net", B.images, B.labels, **kept())


def by_arrays(examples, config, dataset, loading):
    outer = {"resnet": {"network": config["network"]}, "freeznet": {"network": config["network"]}}
    pipeline = dataset.pipeline(config=outer).init_variable("loss", default=[])
    pipeline = pipeline.train_res(None, *examples, **kept()).train_freez(None, *examples, **kept())
    return pipeline.test("resnet", None, *examples, **kept())


def by_components(examples, config, dataset, loading):
    outer = {"resnet": {"network": config["network"]}}
    pipeline = dataset.pipeline(config=outer).init_variable("loss", default=[])
    return pipeline.add_loss_weights(np.arange(60)).train_res(**kept())


def by_model(examples, config, dataset, loading):
    pipeline = dataset.p.init_variable("loss", default=[])
    return train(pipeline.init_model("net", TFModel, "dynamic", config=config))


def by_loading(examples, config, dataset, loading):
    return train(loading.dim().init_model("net", TFModel, "dynamic", config=config))


def by_random_arguments(examples, config, dataset, loading):
    again = loading.load_images(*examples, amount=R("uniform", size=()) * 3)
    return train(again.dim().init_model("net", TFModel, "static", config=config)).dim()


def by_class_in_config(examples, config, dataset, loading):
    named = loading << {"class": TFModel}
    return train(named.init_model("net", C("class"), "dynamic", config=config))


def by_import(examples, config, dataset, loading):
    return train(loading.import_model("net", TFModel(config)))


def by_import_of_an_import(examples, config, dataset, loading):
    first = dataset.p.init_model("net", TFModel, "dynamic", config=config)
    second = dataset.p.import_model("net", first)
    first.before.import_model("other", second)
    second.models.import_model("net", first)
    return train(loading.import_model("net", second))


def by_import_before(examples, config, dataset, loading):
    loading.before.import_model("net", TFModel(config))
    return train(loading)


def by_sum(examples, config, dataset, loading):
    trained = train(Pipeline().init_model("net", TFModel, "dynamic", config=config))
    return loading + trained + Pipeline().dim()


def by_product(examples, config, dataset, loading):
    trained = loading.init_model("net", TFModel, "dynamic", config=config)
    return trained + train(Pipeline()) * 2 + train(Pipeline()).dim() * 2


def by_dataset(examples, config, dataset, loading):
    return by_loading(examples, config, dataset, loading) << loading.dataset


def by_rebatch(examples, config, dataset, loading):
    still = loading.load_images(*examples, amount=0)  # there are no seeds without shuffling
    pipeline = still.rebatch(10).init_variable("loss", default=[])
    return train(pipeline.init_model("net", TFModel, "dynamic", config=config))


def by_prediction(examples, config, dataset, loading):
    pipeline = loading.init_model("net", TFModel, "dynamic", config=config)
    return pipeline.predict_model("net", B.images, B.labels, fetches="loss", **kept())


PIPELINES = [
    *(by_arrays, by_components, by_model, by_loading, by_random_arguments, by_class_in_config),
    *(by_import, by_import_of_an_import, by_import_before, by_sum, by_product),
    *(by_dataset, by_rebatch, by_prediction),
]


def next_batches(pipeline, **options):
    # BatchFlow can't shuffle what it rebatches.
    shuffle = False if pipeline._actions[0]["name"] == "#_rebatch" else 3
    for _ in range(5):
        pipeline.next_batch(20, n_epochs=None, shuffle=shuffle, **options)


def generated(pipeline, **options):
    assert len(list(pipeline.gen_batch(20, n_epochs=2, shuffle=3, **options))) == 6


def run(pipeline, **options):
    pipeline.run(20, n_epochs=2, shuffle=3, **options)


def run_later(pipeline, **options):
    pipeline.run_later(20, n_iters=5, shuffle=3, **options)
    pipeline.run()


@pytest.fixture
def losses(parts):
    def of(make, way, **options):
        pipeline = make(**parts)
        way(pipeline, **options)
        assert not [
            thread for thread in threading.enumerate() if thread.name.startswith("BatchFlow")
        ]
        return pipeline.v("loss")

    return of


@pytest.mark.parametrize("make", PIPELINES)
def test_as_many_steps_as_were_asked_for_in_the_same_order(losses, make):
    expected = losses(make, next_batches)
    assert len(expected) >= 2
    assert losses(make, next_batches, prefetch=3) == expected


@pytest.mark.parametrize("make", [by_arrays, by_random_arguments])
@pytest.mark.parametrize("way", [generated, run, run_later])
def test_every_way_to_run_a_pipeline(losses, make, way):
    expected = losses(make, way)
    assert losses(make, way, prefetch=True) == expected
    assert losses(make, way, prefetch=2, target="t") == expected


@pytest.mark.parametrize("shuffle", [False, True, 0, -7])
def test_any_order(parts, shuffle):
    seen = []
    pipeline = by_random_arguments(**parts)
    for batch in pipeline.gen_batch(20, n_epochs=1, shuffle=shuffle, prefetch=2):
        seen += batch.indices.tolist()
    assert sorted(seen) == list(range(60))
    assert (seen == sorted(seen)) == (shuffle is False or shuffle < 0)


def test_batches_are_loaded_ahead_in_other_threads(parts):
    pipeline = by_loading(**parts)
    batch = pipeline.next_batch(20, n_epochs=None, shuffle=1, prefetch=2)
    assert getattr(batch, THREAD) is not threading.main_thread()
    thread = getattr(batch, THREAD)
    assert thread.is_alive()
    pipeline.reset("iter")
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_a_thread_pool_of_the_users_own(losses):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert losses(by_loading, run, prefetch=2, target=pool) == losses(by_loading, run)


@pytest.mark.parametrize("make", PIPELINES)
@pytest.mark.parametrize("target", ["mpc", "m", concurrent.futures.ProcessPoolExecutor(1)])
def test_other_processes_are_refused(parts, make, target):
    for way in (next_batches, generated, run):
        pipeline = make(**parts)
        with pytest.raises(
            ValueError, match=r"target must be 'threads' for prefetch .* Received: "
        ):
            way(pipeline, prefetch=2, target=target)
        assert not pipeline.v("loss")


@pytest.mark.parametrize("way", [next_batches, generated, run])
def test_what_goes_wrong_is_raised(parts, way):
    images, labels = parts["examples"]
    short = (
        parts["dataset"].p.init_variable("loss", default=[]).train_res(None, images[:50], labels)
    )
    bad = parts["loading"].load_images(images[:5], labels)
    for pipeline, error in (
        (short, ValueError),
        (train(bad.init_model("net", TFModel)), IndexError),
    ):
        with pytest.raises(error):
            way(pipeline, prefetch=2)


def test_batches_can_be_skipped(losses, parts):
    parts["loading"] = parts["loading"].load_images(*parts["examples"], skip=range(30))
    expected = losses(by_loading, run)
    assert 0 < len(expected) < 6
    assert losses(by_loading, run, prefetch=2) == expected


def by_variable(examples, config, dataset, loading):
    """The noise grows with every step."""
    pipeline = loading.init_variable("noise", 0).load_images(*examples, amount=V("noise"))
    pipeline = train(pipeline.init_model("net", TFModel, "dynamic", config=config))
    return pipeline.update(V("noise"), V("noise") + 1)


def test_what_depends_on_variables_does_not_run_ahead(losses):
    assert losses(by_variable, run, prefetch=3) == losses(by_variable, run)


@pytest.mark.parametrize("target", ["threads", "mpc"])
@pytest.mark.parametrize("prefetch", [0, 2, True])
def test_pipelines_without_our_models_are_batchflows(parts, target, prefetch):
    plain = parts["loading"].call(len, "text").init_model("net", TFModel, config=parts["config"])
    executor = PipelineExecutor(plain)
    given = {"dataset": plain.dataset, "target": target, "prefetch": prefetch, "shuffle": True}
    passed = in_order(lambda *args, **settings: (args, settings))(executor, 20, **given)
    assert passed == ((executor, 20), given)
    assert executor.pipeline is plain


@pytest.mark.parametrize("name", ["net", C("name")])
def test_models_of_others_are_trained_by_batchflow(examples, name):
    pipeline = Dataset(60, ResBatch, preloaded=examples).pipeline(config={"name": "net"})
    pipeline = pipeline.init_model("net", Foreign, "static").train_model(name, B.images)
    pipeline.run(20, n_epochs=1, prefetch=2)
    assert [thread[:26] for thread in pipeline.m("net").threads] == [
        "BatchFlow-PipelineExecutor"
    ] * 3
