import numpy as np
import pytest
from batchflow import Dataset, DatasetIndex, V

from batch import ResBatch, openset, res_batch
from batch.data.labels import one_hot


def test_the_notebooks_call_fills_the_very_list(dataset, config, examples, steps):
    res_loss = []
    pipeline = dataset.pipeline(config=config).train_res(res_loss, *examples)
    steps(pipeline)
    assert len(res_loss) == 3
    assert all(type(loss) is float for loss in res_loss)
    assert pipeline.m("resnet").iteration == 3


def test_two_actions_of_different_names_fill_their_own_lists(dataset, config, examples, steps):
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


def test_the_same_model_twice_trains_twice_a_batch(dataset, config, examples, steps):
    first, second = [], []
    pipeline = (
        dataset.pipeline(config=config).train_res(first, *examples).train_res(second, *examples)
    )
    steps(pipeline)
    assert len(first) == len(second) == 3
    assert pipeline.m("resnet").iteration == 6


@pytest.mark.parametrize("form", ["keywords", "expression", "save_to", "deque"])
def test_other_ways_to_keep_the_losses(dataset, config, examples, form, steps):
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


def test_plain_lists_of_images_and_labels_work(dataset, config, examples, steps):
    losses = [[], []]
    images, labels = examples
    for given, kept in zip(((images, labels), (images.tolist(), labels.tolist())), losses):
        own = dict(config) if kept is losses[0] else config
        steps(dataset.pipeline(config=own).train_res(kept, *given))
    assert losses[1] == losses[0]  # uint8 too, divided by 255


def test_pipelines_can_be_composed(dataset, config, examples, blocks, steps):
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


def test_components_of_the_batch(examples, config, steps):
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


def test_rows_are_gathered_by_indices(examples, config, steps):
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


def test_shapes_and_labels_in_every_form_give_the_same(dataset, config, examples, steps):
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


def test_the_action_test_gives_the_accuracy_on_the_batch(dataset, config, examples, steps):
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


def test_three_actions_train_three_models_from_one_batch(dataset, residual, examples, steps):
    losses = [], [], []
    pipeline = (
        dataset.pipeline(config=residual)
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
    for first, second, third in zip(*starts):
        assert np.array_equal(first, second)
        assert np.array_equal(first, third)


def test_bad_data_are_refused(dataset, config, examples, steps):
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
