import numpy as np
import pytest
from batchflow import Config, Dataset, DatasetIndex, V

from batch import FreezeOut, ResBatch, ResNet, openset, res_batch
from batch.data.labels import one_hot
from batch.res_batch import DEFAULTS, with_freezing


@pytest.fixture
def dataset(examples):
    return Dataset(DatasetIndex(range(len(examples[1]))), ResBatch)


@pytest.fixture
def config(blocks):
    """The pipelines' config with a small network, so that the tests are quick."""
    return {kind: {"network": blocks()} for kind in ("resnet", "freeznet", "stochastic")}


@pytest.fixture
def preloaded(examples):
    return Dataset(DatasetIndex(range(len(examples[1]))), ResBatch, preloaded=examples)


def steps(pipeline, count=3, batch_size=20, **options):
    for _ in range(count):
        pipeline.next_batch(batch_size, n_epochs=None, shuffle=2, **options)


def test_the_notebooks_call_fills_the_very_list(dataset, config, examples):
    res_loss = []
    pipeline = dataset.pipeline(config=config).train_res(res_loss, *examples)
    steps(pipeline)
    assert len(res_loss) == 3
    assert all(type(loss) is float for loss in res_loss)
    assert pipeline.m("resnet").iteration == 3


def test_two_actions_of_different_names_fill_their_own_lists(dataset, config, examples):
    first, second, third = [], [], []
    settings = {**config, "slow": {"learning_rate": 0.001}}
    pipeline = (
        dataset.pipeline(config=settings)
        .train_res(first, *examples)
        .train_res(second, *examples, name="slow")
        .train_freez(third, *examples)
    )
    steps(pipeline)
    assert [len(losses) for losses in (first, second, third)] == [3, 3, 3]
    assert first[0] == second[0] == third[0]  # the same start, the same batch
    assert first[2] != second[2] != third[2]
    assert pipeline.m("slow").trainer.schedule(0)[0] == 0.001


def test_the_same_model_twice_trains_twice_a_batch(dataset, config, examples):
    first, second = [], []
    pipeline = (
        dataset.pipeline(config=config).train_res(first, *examples).train_res(second, *examples)
    )
    steps(pipeline)
    assert len(first) == len(second) == 3
    assert pipeline.m("resnet").iteration == 6


@pytest.mark.parametrize("form", ["keywords", "expression", "save_to", "deque"])
def test_other_ways_to_keep_the_losses(dataset, config, examples, form):
    from collections import deque

    images, labels = examples
    pipeline = dataset.pipeline(config=config).init_variable("loss", default=[])
    own = deque() if form == "deque" else []
    if form == "expression":
        pipeline = pipeline.train_res(V("loss"), images, labels)
    elif form == "save_to":
        pipeline = pipeline.train_res(images=images, labels=labels, save_to=V("loss", mode="a"))
    elif form == "keywords":
        pipeline = pipeline.train_res(loss=own, images=images, labels=labels)
    else:
        pipeline = pipeline.train_res(own, images, labels)
    steps(pipeline)
    assert len(own or pipeline.v("loss")) == 3


def test_plain_lists_of_images_and_labels_work(dataset, config, examples):
    losses = [[], []]
    images, labels = examples
    for given, kept in zip(((images, labels), (images.tolist(), labels.tolist())), losses):
        own = dict(config) if kept is losses[0] else config
        steps(dataset.pipeline(config=own).train_res(kept, *given))
    assert len(losses[1]) == 3


def test_pipelines_can_be_composed(dataset, config, examples, blocks):
    first, second, third = [], [], []
    train = dataset.pipeline(config=config).train_res(first, *examples)
    freeze = dataset.p.train_freez(second, *examples)
    steps(train + freeze)
    assert (len(first), len(second)) == (3, 3)

    from batchflow import Pipeline

    template = Pipeline().train_res(third, *examples)
    steps((template << dataset) << config)
    assert len(third) == 3
    repeated = []
    steps(dataset.pipeline(config=config).train_res(repeated, *examples) * 2)
    assert len(repeated) == 6
    nested = []
    both = dataset.pipeline(config=config).train_res(nested, *examples).train_freez([], *examples)
    steps((both * 2) << dataset << config)
    assert len(nested) == 6


def test_components_of_the_batch(examples, config):
    images, labels = examples
    dataset = Dataset(len(labels), ResBatch, preloaded=(images, labels))
    losses = []
    pipeline = (
        dataset.pipeline(config=config)
        .init_variable("loss", default=[])
        .train_res(save_to=V("loss", mode="a"))
    )
    by_index = dataset.pipeline(config=config).train_res(losses, images, labels)
    steps(pipeline)
    steps(by_index)
    assert pipeline.v("loss") == losses


def test_rows_are_gathered_by_indices(examples, config):
    images, labels = examples
    rows = np.arange(30, 60)
    losses = [], []
    steps(
        Dataset(DatasetIndex(rows), ResBatch)
        .pipeline(config=config)
        .train_res(losses[0], *examples)
    )
    upper = Dataset(DatasetIndex(30), ResBatch)
    steps(upper.pipeline(config=config).train_res(losses[1], images[30:], labels[30:]))
    assert losses[0] == losses[1]


def test_shapes_and_labels_in_every_form_give_the_same(dataset, config, examples):
    images, labels = examples
    results = []
    for given in (
        (images, labels),
        (images[..., 0], one_hot(labels, 3)),
        ((images / 255).astype(np.float32), labels.astype(float)),
    ):
        losses = []
        steps(dataset.pipeline(config=config).train_res(losses, *given))
        results.append(losses)
    assert results[0] == results[1]
    np.testing.assert_allclose(results[0], results[2], rtol=1e-4)


def test_the_action_test_gives_the_accuracy_on_the_batch(dataset, config, examples):
    accuracies, losses = [], []
    train = dataset.pipeline(config=config).train_res(losses, *examples)
    test = dataset.p.import_model("resnet", train).test("resnet", accuracies, *examples)
    steps(train)
    test.next_batch(60, n_epochs=1)
    assert accuracies == [train.m("resnet").predict(*examples, fetches="output_accuracy")]
    both = (
        dataset.pipeline(config=config).train_res([], *examples).test("resnet", losses, *examples)
    )
    steps(both)
    assert len(losses) == 6


def test_models_of_one_seed_start_equal_and_of_two_do_not(dataset, examples):
    first = []
    for seed in (3, 3, 4):
        losses = []
        steps(dataset.pipeline(config={"resnet": {"seed": seed}}).train_res(losses, *examples), 1)
        first += losses
    assert first[0] == first[1] != first[2]


def test_defaults_are_the_tables(dataset, examples):
    pipeline = dataset.p.train_res([], *examples).train_freez([], *examples)
    steps(pipeline, 1)
    resnet, freeznet = pipeline.m("resnet"), pipeline.m("freeznet")
    assert isinstance(resnet, ResNet)
    assert [layer.name for layer in resnet.network.layers][:2] == ["stem", "block0"]
    assert (resnet.optimizer.momentum, resnet.optimizer.nesterov) == (0.8, True)
    assert (freeznet.optimizer.momentum, freeznet.optimizer.nesterov) == (0.9, True)
    assert resnet.trainer.schedule(10**6).tolist() == [0.03] * 5
    expected = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False, finetune_rate=1e-2)
    assert freeznet.trainer.schedule.get_config() == expected.get_config()


def test_three_actions_train_three_models_from_one_batch(dataset, config, examples):
    losses = [], [], []
    pipeline = (
        dataset.pipeline(config=config)
        .train_res(losses[0], *examples)
        .train_freez(losses[1], *examples)
        .train_stochastic(losses[2], *examples)
    )
    steps(pipeline)
    assert [len(own) for own in losses] == [3, 3, 3]
    models = [pipeline.m(name) for name in ("resnet", "freeznet", "stochastic")]
    assert [model.iteration for model in models] == [3, 3, 3]
    survivals = [layer.survival for layer in models[2].network.layers[1:-1]]
    assert survivals == pytest.approx([0.8, 0.6])
    for model in models:
        model.reset()
    starts = [[v.numpy() for v in model.network.trainable_variables] for model in models]
    for one, two, three in zip(*starts):
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)


def test_defaults_of_stochastic_depth_are_the_tables(dataset, examples):
    pipeline = dataset.p.train_stochastic([], *examples)
    steps(pipeline, 1)
    model = pipeline.m("stochastic")
    assert (model.optimizer.momentum, model.optimizer.nesterov) == (0.8, True)
    assert model.trainer.schedule(10**6).tolist() == [0.03] * 5
    blocks = model.network.layers[1:-1]
    assert [block.survival for block in blocks] == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert {(block.mode, block.scale) for block in blocks} == {("batch", "inference")}


def test_freezing_and_dropping_combine_in_the_config(dataset, config, examples):
    settings = {"freeznet": {**config["freeznet"], "survival": 0.5, "iteration": 4, "t_0": 0.5}}
    losses = []
    pipeline = dataset.pipeline(config=settings).train_freez(losses, *examples)
    steps(pipeline)
    assert pipeline.m("freeznet").frozen == 1
    counted = [int(block.steps) for block in pipeline.m("freeznet").network.layers[1:-1]]
    assert counted == [3, 3]


def test_another_model_by_name(dataset, examples):
    pipeline = dataset.pipeline(config={"resnet": {"model": "resnet18", "use_bias": True}})
    pipeline = pipeline.train_res([], *examples)
    steps(pipeline, 1)
    assert len(pipeline.m("resnet").network.layers) == 10


def test_scaled_keeps_the_notebooks_meaning():
    settings = {**DEFAULTS["freeznet"], "learning_rate": 10, "scaled": True, "degree": 3}
    _, arguments = with_freezing(settings)["schedule"]
    schedule = FreezeOut(5, **arguments)
    np.testing.assert_allclose(schedule(0), 10 / schedule.last_iterations, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("resnet", {"momentum": 0.9}, "Unknown key in the config of 'resnet': momentum"),
        ("resnet", {"iteration": 300}, "Unknown key in the config of 'resnet': iteration"),
        ("resnet", {"model": "resnet20"}, "model must be one of resnet, resnet18"),
        ("resnet", {"mode": "batch"}, "without 'survival'"),
        ("stochastic", {"survival": -0.1}, "survival must be a number from 0 to 1"),
        ("stochastic", {"degree": 1}, "Unknown key in the config of 'stochastic': degree"),
        ("freeznet", {"iterations": 300}, "Unknown key .*: iterations. Known keys: .*iteration,"),
        ("freeznet", {"iteration": 0}, "iteration must be a whole number above 0. Received: 0"),
        ("freeznet", {"iteration": -5}, "Received: -5"),
        ("freeznet", {"degree": 4}, "degree must be 1, 2 or 3. Received: 4"),
        ("freeznet", {"learning_rate": 0}, "learning_rate must be"),
        ("freeznet", {"degree": 2, "schedule": ("Constant", {"learning_rate": 1})}, "not both"),
    ],
)
def test_bad_configs_are_refused(dataset, examples, kind, settings, message):
    pipeline = dataset.pipeline(config={kind: settings})
    actions = {"resnet": "train_res", "freeznet": "train_freez", "stochastic": "train_stochastic"}
    action = getattr(pipeline, actions[kind])
    with pytest.raises(ValueError, match=message):
        steps(action([], *examples), 1)


def test_bad_data_are_refused(dataset, config, examples):
    images, labels = examples

    def first_step(*given):
        steps(dataset.pipeline(config=config).train_res([], *given), 1)

    with pytest.raises(ValueError, match="same length"):
        first_step(images, labels[:50])
    with pytest.raises(ValueError, match="whole numbers from 0"):
        first_step(images, labels - 1)
    with pytest.raises(ValueError, match="neither"):
        first_step(images)
    with pytest.raises(ValueError, match="no images and labels"):
        first_step()
    whole = dataset.pipeline(config=config).train_res([], images[:50], labels[:50])
    with pytest.raises(ValueError, match="rows of the 50 images"):
        steps(whole, batch_size=60)
    with pytest.raises(ValueError, match="larger than the dataset"):
        dataset.p.train_res([], images, labels).next_batch(61)


def test_one_batch_of_labels_does_not_tell_the_classes(examples):
    from batchflow import action

    class Loading(ResBatch):
        @action
        def read(self):
            self.images, self.labels = (array[self.indices] for array in examples)
            return self

    dataset = Dataset(60, Loading)
    with pytest.raises(ValueError, match="give 'classes' in"):
        steps(dataset.p.read().train_res([]), 1)
    losses = []
    steps(dataset.pipeline(config={"resnet": {"classes": 3}}).read().train_res(losses), 1)
    assert len(losses) == 1


def test_config_may_be_batchflows_and_is_not_changed(dataset, config, examples):
    settings = Config({"resnet": {"learning_rate": 0.01, "network": config["resnet"]["network"]}})
    pipeline = dataset.pipeline(config=settings).train_res([], *examples)
    steps(pipeline, 1)
    assert pipeline.m("resnet").trainer.schedule(0)[0] == 0.01
    assert sorted(settings.get("resnet")) == ["learning_rate", "network"]


def test_prefetched_batches_train_one_model(dataset, config, examples):
    losses = []
    pipeline = dataset.pipeline(config=config).train_res(losses, *examples)
    for _ in pipeline.gen_batch(20, n_epochs=4, shuffle=1, prefetch=3):
        pass
    assert len(losses) == 12
    assert pipeline.m("resnet").iteration == 12


def test_openset(tmp_path, config):
    opened = openset("digits")
    assert (len(opened.train), len(opened.test)) == (1347, 450)
    batch = opened.train.next_batch(5)
    assert batch.images.shape == (5, 28, 28, 1)
    assert batch.labels.shape == (5,)


def test_names_of_the_actions_are_known():
    for name in res_batch.ACTIONS:
        assert hasattr(getattr(ResBatch, name), "action")


def test_loss_weights_by_array_or_from_the_batch(dataset, config, examples, preloaded):
    images, labels = examples
    weights = np.where(labels == 0, 0.0, 1.0 + np.arange(60))
    found = {}
    for name, make in {
        "array": lambda losses: dataset.pipeline(config=config).train_res(
            losses, images, labels, loss_weights=weights
        ),
        "added": lambda losses: (
            dataset.pipeline(config=config)
            .add_loss_weights(weights)
            .train_res(losses, images, labels)
        ),
        "components": lambda losses: (
            preloaded.pipeline(config=config).add_loss_weights(weights).train_res(losses)
        ),
        "masked": lambda losses: (
            preloaded.pipeline(config=config)
            .add_loss_weights(1.0 + np.arange(60), id_to_mask=0)
            .train_res(losses)
        ),
        "ones": lambda losses: (
            preloaded.pipeline(config=config).add_loss_weights().train_res(losses)
        ),
        "none": lambda losses: preloaded.pipeline(config=config).train_res(losses),
    }.items():
        found[name] = []
        steps(make(found[name]))
    assert found["array"] == found["added"] == found["components"] == found["masked"]
    assert found["array"][0] != found["none"][0]
    assert found["ones"] == pytest.approx(found["none"], rel=1e-4)


def test_a_test_can_be_weighted(preloaded, config, examples):
    _, labels = examples
    plain, weighted = [], []
    train = preloaded.pipeline(config=config).train_res([])
    steps(train)
    for accuracies, weights in ((plain, None), (weighted, (labels == 1).astype(float))):
        test = preloaded.p.import_model("resnet", train)
        test.test("resnet", accuracies, *examples, loss_weights=weights).next_batch(60, n_epochs=1)
    classes = train.m("resnet").predict(examples[0], fetches="output_labels")
    assert plain == [pytest.approx((classes == labels).mean())]
    assert weighted == [pytest.approx((classes == labels)[labels == 1].mean())]


def test_masking_needs_labels(dataset):
    with pytest.raises(ValueError, match="id_to_mask needs labels"):
        dataset.p.add_loss_weights(id_to_mask=0).next_batch(20)


def test_weights_may_be_added_again(preloaded, config):
    first, second = [], []
    pipeline = (
        preloaded.pipeline(config=config)
        .add_loss_weights(id_to_mask=0)
        .train_res(first)
        .add_loss_weights()
        .train_res(second, name="other")
    )
    steps(pipeline)
    assert len(first) == len(second) == 3
    assert first[0] != second[0]


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (np.ones(61), r"for each example of the dataset, 60\. Received: shape \(61,\)"),
        (np.ones((60, 2)), "Received: shape"),
    ],
)
def test_weights_of_another_dataset_are_refused(dataset, config, examples, weights, told):
    pipeline = dataset.pipeline(config=config).train_res([], *examples, loss_weights=weights)
    with pytest.raises(ValueError, match=told):
        steps(pipeline)
    too_short = dataset.p.add_loss_weights(np.ones(3))
    with pytest.raises(ValueError, match=r"each example of the dataset. Received: shape \(3,\)"):
        too_short.next_batch(20, shuffle=2)
