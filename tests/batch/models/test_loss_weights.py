import keras
import numpy as np
import pytest
import tensorflow as tf

from batch.training.losses import cross_entropy


def test_weights_say_how_much_each_example_counts(make, examples):
    images, labels = examples
    weights = np.where(labels == 0, 0.0, np.arange(60.0))
    model = make()
    names = ["loss", "output_accuracy", "output_prob", "output_labels"]
    feed = {"images": images, "labels": labels, "loss_weights": weights}
    for fetched in (
        model.predict(images, labels, fetches=names, loss_weights=weights),
        model.train(feed_dict=feed, fetches=names),
    ):
        loss, accuracy, probabilities, classes = fetched
        losses = -np.log(probabilities[np.arange(60), labels])
        assert loss == pytest.approx(np.average(losses, weights=weights), rel=1e-5)
        assert accuracy == pytest.approx(np.average(classes == labels, weights=weights))
    assert make().train(images, labels, loss_weights=weights) == fetched[0]


def test_the_gradient_is_that_of_the_weighted_mean(make, examples):
    images, labels = examples
    weights = np.arange(60.0)
    model = make(optimizer="SGD", learning_rate=0.5)
    dense = model.network.layers[-1].dense
    features = model.network.layers[-1].pool(
        keras.Sequential(model.network.layers[:-1])(images.astype(np.float32) / 255, training=True)
    )
    before = dense.kernel.numpy()
    probabilities = model.train(images, labels, fetches="output_prob", loss_weights=weights)
    errors = probabilities - np.eye(3)[labels]
    gradient = np.asarray(features).T @ (errors * weights[:, None] / weights.sum())
    np.testing.assert_allclose(before - dense.kernel.numpy(), 0.5 * gradient, rtol=1e-3, atol=1e-6)


def test_weights_of_rows_come_in_the_order_of_the_rows(make, examples):
    first = make().train(*examples, rows=[3, 5, 9], loss_weights=[1, 2, 3])
    assert make().train(*examples, rows=[9, 5, 3], loss_weights=[3, 2, 1]) == pytest.approx(first)


def test_weights_that_are_all_alike_change_nothing(make, examples):
    plain, weighted = make(), make()
    for _ in range(3):
        first = plain.train(*examples)
        second = weighted.train(*examples, loss_weights=np.full(60, 2.0))
        assert second == pytest.approx(first, rel=1e-5)


def test_no_example_that_counts_leaves_the_weights(make, examples):
    model = make(optimizer="SGD")
    before = [variable.numpy() for variable in model.network.trainable_variables]
    assert model.train(*examples, loss_weights=np.zeros(60)) == 0
    for variable, value in zip(model.network.trainable_variables, before):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(59), r"each of the 60 rows\. Received: shape \(59,\), from 1.0 to 1.0"),
        (np.full(60, -1.0), r"0 or more .* from -1.0"),
        (np.full(60, np.nan), "a finite number"),
    ],
)
def test_bad_weights_are_refused(make, examples, weights, message):
    model = make()
    with pytest.raises(ValueError, match=message):
        model.train(*examples, loss_weights=weights)
    assert model.iteration == 0


def test_weights_need_a_loss_for_each_example(make, examples):
    model = make(loss=lambda labels, logits: tf.reduce_mean(cross_entropy(labels, logits)))
    model.train(*examples)
    with pytest.raises(ValueError, match="must give one value an example"):
        model.train(*examples, loss_weights=np.ones(60))
