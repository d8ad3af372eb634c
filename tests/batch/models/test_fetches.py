import functools

import numpy as np
import pytest
import tensorflow as tf

from batch.data.examples import Examples
from batch.models.fetches import check_fetches, fetch, make_fetches

LOGITS = tf.constant([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
LABELS = tf.constant([0, 1, 1], tf.int64)
EXAMPLES = Examples(tf.zeros((3, 1, 1, 1)), LABELS, np.arange(3))


def value(names, output=None):
    losses = {"loss": lambda: 0.5, "data_loss": lambda: 0.25}
    return fetch(names, make_fetches(output), LOGITS, examples=EXAMPLES, losses=losses)


def test_single_and_several():
    assert value("output_accuracy") == pytest.approx(2 / 3)
    labels, *losses = value(["output_labels", "loss", "data_loss"])
    assert labels.tolist() == [0, 1, 0]
    assert losses == [0.5, 0.25]
    np.testing.assert_array_equal(value("output_proba"), value("output_prob"))
    np.testing.assert_allclose(value("output_prob").sum(1), 1, rtol=1e-6)


def test_shares_of_the_likeliest_classes():
    logits = tf.constant([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    labels = tf.constant([0, 1, 2], tf.int64)
    images = tf.zeros((3, 1, 1, 1))

    def shares(weights):
        examples = Examples(images, labels, np.arange(3), weights=weights)
        names = ["output_accuracy", "output_top_1", "output_top_2", "output_top_3"]
        return fetch(names, make_fetches(), logits, examples=examples, losses={})

    assert shares(None) == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1])
    assert shares(np.array([2.0, 1.0, 1.0])) == pytest.approx([0.5, 0.5, 0.75, 1])
    for name in ("output_top_0", "output_top_", "output_top_5x"):
        with pytest.raises(
            ValueError, match=rf"Unknown fetches: {name}\. .* output_top_5 with any"
        ):
            check_fetches(name, make_fetches())
    with pytest.raises(ValueError, match="need labels: output_top_2"):
        check_fetches(["predictions", "output_top_2"], make_fetches(), with_labels=False)


@pytest.mark.parametrize(
    "logits",
    [
        np.zeros((10, 10)),
        np.eye(10)[::-1],
        np.arange(100).reshape(10, 10) % 3,
        np.full((10, 10), np.nan),
    ],
    ids=["constant", "distinct", "some ties", "nan"],
)
def test_ties_are_broken_as_argmax_does(logits):
    order = np.argsort(-logits, axis=1, kind="stable")  # equal ones by their place, as argmax
    names = ["output_accuracy", *(f"output_top_{count}" for count in (1, 3, 5, 10, 20))]
    labels = tf.range(10, dtype=tf.int64)
    examples = Examples(tf.zeros((10, 1, 1, 1)), labels, np.arange(10))
    tensor = tf.constant(logits, tf.float32)
    shares = fetch(names, make_fetches(), tensor, examples=examples, losses={})
    right = order == np.arange(10)[:, None]
    expected = [right[:, :count].any(1).mean() for count in (1, 1, 3, 5, 10, 20)]
    assert shares == pytest.approx(expected)
    if np.ptp(logits) == 0:
        assert shares == pytest.approx([0.1, 0.1, 0.3, 0.5, 1, 1])


@pytest.mark.parametrize(
    "output", [{"ops": ["accuracy"]}, "accuracy", ["accuracy", "labels"], None]
)
def test_names_are_there_in_any_case(output):
    assert value("output_accuracy", output) == pytest.approx(2 / 3)


def test_callables():
    def margin(logits):
        return logits[:, 0] - logits[:, 1]

    assert value("output_margin", {"ops": ["accuracy", margin]}).tolist() == [1, -3, 1]
    assert value("output_margin", margin).tolist() == [1, -3, 1]


def test_an_operation_of_the_users_own_comes_first():
    def top_5(logits):
        return logits[:, 0]

    assert value("output_top_5", top_5).tolist() == [2, 0, 1]
    check_fetches("output_top_5", make_fetches(top_5), with_labels=False)


def test_bad_names_are_refused():
    with pytest.raises(ValueError, match=r"'output/ops' must be of prob, .* Received: 'acuracy'"):
        make_fetches({"ops": ["acuracy"]})
    with pytest.raises(ValueError, match=r"'output' must be {'ops'"):
        make_fetches({"predictions": "proba"})
    for nameless in (lambda logits: logits, functools.partial(tf.argmax, axis=1)):
        with pytest.raises(ValueError, match="must have a name of its own"):
            make_fetches({"ops": [nameless]})
    with pytest.raises(
        ValueError, match=r"Unknown fetches: accuracy, x. Known: data_loss, loss, output_acc"
    ):
        check_fetches(["accuracy", "x"], make_fetches())
    with pytest.raises(ValueError, match="need labels: loss, data_loss"):
        check_fetches(["loss", "data_loss"], make_fetches(), with_labels=False)
