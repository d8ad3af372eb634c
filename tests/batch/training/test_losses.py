import numpy as np
import pytest
import tensorflow as tf

from batch.training.losses import make_loss

LOGITS = tf.constant(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
LABELS = tf.constant([0, 2, 1, 1, 0], tf.int64)
ONE_HOT = tf.one_hot(LABELS, 3)
CROSS_ENTROPY = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, LOGITS)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("softmax_cross_entropy", CROSS_ENTROPY),
        ("sparse_softmax_cross_entropy", CROSS_ENTROPY),
        ("categorical_crossentropy", CROSS_ENTROPY),
        ("SparseCategoricalCrossentropy", CROSS_ENTROPY),
        ("CategoricalCrossentropy", CROSS_ENTROPY),
        ("mse", tf.reduce_mean((LOGITS - ONE_HOT) ** 2, -1)),
        ("MeanSquaredError", tf.reduce_mean((LOGITS - ONE_HOT) ** 2, -1)),
        (("huber", {"delta": 100.0}), tf.reduce_mean((LOGITS - ONE_HOT) ** 2, -1) / 2),
        (
            ("softmax_cross_entropy", {"label_smoothing": 0.3}),
            tf.nn.softmax_cross_entropy_with_logits(0.7 * ONE_HOT + 0.1, LOGITS),
        ),
        (
            "binary_crossentropy",
            tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(ONE_HOT, LOGITS), -1),
        ),
        ("kl_divergence", CROSS_ENTROPY),  # of one-hot rows, whose entropy is 0
    ],
    ids=str,
)
def test_losses_by_name(spec, expected):
    np.testing.assert_allclose(make_loss(spec)(LABELS, LOGITS), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        *("mae", "CategoricalHinge", "CategoricalFocalCrossentropy", "poisson", "dice"),
        *("Tversky", "CategoricalGeneralizedCrossEntropy", "Circle", "CosineSimilarity"),
    ],
)
def test_any_keras_loss_gives_finite_numbers_and_gradients(name):
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(make_loss(name)(LABELS, logits))
    assert np.isfinite(loss)
    assert np.any(tape.gradient(loss, logits))


def test_a_callable_gets_numbers_or_one_hot_rows():
    seen = []

    def loss(labels, logits):
        seen.append(labels)
        return tf.zeros(5)

    make_loss(loss)(LABELS, LOGITS)
    make_loss(loss, one_hot=True)(LABELS, LOGITS)
    np.testing.assert_array_equal(seen[0], LABELS)
    np.testing.assert_array_equal(seen[1], ONE_HOT)


@pytest.mark.parametrize(
    "spec", ["softmax_crossentropy", 3, None, ("mse", 1, 2), ["mse"], {"name": "mse"}]
)
def test_unknown_losses_are_refused(spec):
    with pytest.raises(ValueError, match=r"loss must be softmax_cross_entropy, .* Received"):
        make_loss(spec)


def test_unknown_arguments_are_refused():
    for name in ("huber", "Huber"):
        with pytest.raises(ValueError, match=f"the config of loss '{name}': beta"):
            make_loss((name, {"beta": 1}))
