import numpy as np
import pytest
from batchflow import Dataset

from batch import ResBatch


def test_loss_weights_by_array_or_from_the_batch(dataset, config, examples, preloaded, steps):
    images, labels = examples
    weights = np.where(labels == 0, 0.0, 1.0 + np.arange(60))
    losses_of = {}
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
        losses_of[name] = []
        steps(make(losses_of[name]))
    assert (
        losses_of["array"] == losses_of["added"] == losses_of["components"] == losses_of["masked"]
    )
    assert losses_of["array"][0] != losses_of["none"][0]
    assert losses_of["ones"] == pytest.approx(losses_of["none"], rel=1e-4)


def test_a_test_can_be_weighted(preloaded, config, examples, steps):
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


def test_a_class_is_masked_in_labels_of_every_form(examples):
    images, labels = examples
    for given in (labels, labels[:, np.newaxis], np.eye(3)[labels]):
        dataset = Dataset(60, ResBatch, preloaded=(images, given))
        batch = dataset.p.add_loss_weights(id_to_mask=1).next_batch(60)
        assert np.array_equal(batch.loss_weights, labels != 1)


def test_weights_may_be_added_again(preloaded, config, steps):
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
    ("weights", "message"),
    [
        (np.ones(61), r"for each example of the dataset, 60\. Received: shape \(61,\)"),
        (np.ones((60, 2)), "Received: shape"),
    ],
)
def test_weights_of_another_dataset_are_refused(dataset, config, examples, weights, message, steps):
    pipeline = dataset.pipeline(config=config).train_res([], *examples, loss_weights=weights)
    with pytest.raises(ValueError, match=message):
        steps(pipeline)
    too_short = dataset.p.add_loss_weights(np.ones(3))
    with pytest.raises(ValueError, match=r"rows of the 3 loss_weights, 0 … 2\. Received: a D"):
        too_short.next_batch(20, shuffle=2)
