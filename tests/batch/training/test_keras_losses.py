"""Keras' losses beside stock Keras: as names, classes, objects and functions."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import TFModel
from batch.training.losses import (
    KERAS,
    OF_NUMBERS,
    OF_PROBABILITIES,
    compiled_loss,
    make_loss,
    weighted_mean,
)

CLASSES = 3
BATCHES = (1, 7, CLASSES)
LOGITS = np.random.default_rng(0).normal(size=(8, CLASSES)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1, 0, 2, 2, 0])
OPEN = tf.zeros((1, CLASSES))
SCE = keras.losses.SparseCategoricalCrossentropy
CCE = keras.losses.CategoricalCrossentropy


def takes(kind, argument):
    return argument in inspect.signature(kind).parameters


def kinds(are):
    return sorted(
        name for name, kind in KERAS.items() if are(kind) and kind.__name__.lower() != "ctc"
    )


def ours(spec, one_hot=False):
    """A function from a number of examples to their loss, and its gradient by the logits."""
    loss = make_loss(spec, one_hot)

    def of(batch):
        logits = tf.constant(LOGITS[:batch])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = weighted_mean(loss(tf.constant(LABELS[:batch]), logits))
        return value, tape.gradient(value, logits)

    return of


def stock(loss, function):
    """The same of a compiled Keras model, whose labels are as the loss takes them."""
    probabilities = function in OF_PROBABILITIES
    activation = keras.layers.Activation("softmax" if probabilities else "linear")
    model = keras.Sequential([keras.Input((CLASSES,)), activation])
    model.compile(loss=loss, run_eagerly=True)
    rows = LABELS if function in OF_NUMBERS else np.eye(CLASSES, dtype=np.float32)[LABELS]

    def of(batch):
        logits = tf.constant(LOGITS[:batch])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = model.compute_loss(y=rows[:batch], y_pred=model(logits))
        return value, tape.gradient(value, logits)

    return of


def check(expected, *made):
    for batch in BATCHES:
        wanted = expected(batch)
        for of in made:
            for one, other in zip(of(batch), wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", kinds(inspect.isclass))
def test_objects_classes_and_names_are_as_in_keras(name):
    kind = KERAS[name]
    if takes(kind, "from_logits"):
        made, others = kind(from_logits=True), [name]
    else:
        made, others = kind(), [name, kind]
    # Whether losses of the user's own get one-hot rows does not matter to these.
    check(stock(made, made.fn.__name__), ours(made, one_hot=True), *map(ours, others))


@pytest.mark.parametrize("name", kinds(inspect.isfunction))
def test_functions_and_their_names_are_as_in_keras(name):
    function, given = KERAS[name], {}
    if takes(function, "from_logits"):
        given["from_logits"] = True
    if takes(function, "q"):
        given["q"] = 0.4
    wrapped = functools.partial(function, **given)
    check(stock(wrapped, name), *map(ours, (wrapped if given else function, (name, given))))


@pytest.mark.parametrize(
    "made",
    [
        CCE(from_logits=True, label_smoothing=0.2),
        CCE(from_logits=True, reduction="mean"),
        CCE(from_logits=True, reduction="mean_with_sample_weight"),
        SCE(from_logits=True, ignore_class=1),
        keras.losses.CategoricalFocalCrossentropy([0.1, 0.2, 0.7], gamma=1.5, from_logits=True),
        keras.losses.BinaryFocalCrossentropy(True, alpha=0.4, from_logits=True),
        keras.losses.Huber(delta=0.3),
        keras.losses.Dice(axis=(1,)),
        keras.losses.Tversky(alpha=0.2, beta=0.7, axis=-1),
        keras.losses.CategoricalGeneralizedCrossEntropy(q=0.2),
        keras.losses.Circle(gamma=2.0, margin=0.1, remove_diagonal=False),
        keras.losses.MeanSquaredError(dtype="float64"),
    ],
    ids=lambda made: made.name,
)
def test_arguments_act_as_in_keras(made):
    check(stock(made, made.fn.__name__), ours(made))


class Quadratic(keras.losses.Loss):
    """A loss of the user's own."""

    def call(self, labels, logits):
        return tf.reduce_mean((logits - labels) ** 2, axis=-1)


def test_objects_of_the_users_own():
    class Calling(keras.losses.Loss):
        def __call__(self, labels, logits, sample_weight=None):
            return tf.reduce_mean((logits - labels) ** 2)

    made = [ours(spec, one_hot=True) for spec in (Quadratic(), Quadratic, Calling())]
    check(stock("mse", "mean_squared_error"), *made)


@pytest.mark.parametrize("labels", [LABELS, np.eye(CLASSES)[LABELS]], ids=["numbers", "one-hot"])
@pytest.mark.parametrize(
    "loss", [keras.losses.MeanSquaredError(), SCE(from_logits=True), keras.losses.log_cosh]
)
def test_training_is_as_in_keras(loss, labels):
    layers = [keras.layers.Identity(), keras.layers.Dense(CLASSES, name="out")]
    network = keras.Sequential([keras.Input((CLASSES,)), *layers])
    inputs = {"images": {"shape": (CLASSES,)}, "labels": {"classes": CLASSES}}
    model = TFModel({"inputs": inputs, "network": network, "loss": loss, "learning_rate": 0.1})
    network.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    wanted = LABELS if getattr(loss, "name", "").startswith("sparse") else np.eye(CLASSES)[LABELS]
    for batch in (*BATCHES, 8):
        expected = network.train_on_batch(LOGITS[:batch], wanted[:batch])
        assert model.train(LOGITS[:batch], labels[:batch]) == pytest.approx(expected, rel=1e-5)
    for one, other in zip(network.weights, model.network.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    expected = network.evaluate(LOGITS, wanted, verbose=0)
    assert model.predict(LOGITS, labels, fetches="loss") == pytest.approx(expected, rel=1e-5)
    assert model.train(LOGITS, labels, loss_weights=np.ones(8)) == pytest.approx(expected, rel=1e-5)


OF_LOGITS = [kind for kind in KERAS.values() if takes(kind, "from_logits")]
PROBABILITIES = "the network gives logits, so {} must have from_logits=True. Received: .*False"
MEAN = "reduction of {} must be sum_over_batch_size, its default. Received: {!r}"
GIVES = r"must take labels \(n,\) and logits \(n, 3\) and give losses \(n,\), or one for all. "


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *((kind, PROBABILITIES.format(kind.__name__)) for kind in OF_LOGITS),
        *(
            (kind(), PROBABILITIES.format(kind.__name__))
            for kind in OF_LOGITS
            if inspect.isclass(kind)
        ),
        *(
            ((name, {"from_logits": False}), PROBABILITIES.format(name))
            for name in ("binary_crossentropy", "CategoricalCrossentropy")
        ),
        (
            functools.partial(keras.losses.binary_crossentropy),
            PROBABILITIES.format("binary_cross.*"),
        ),
        *(
            (keras.losses.Huber(reduction=reduction), MEAN.format("Huber", reduction))
            for reduction in ("sum", "none", None)
        ),
        (("Huber", {"reduction": "sum"}), MEAN.format("Huber", "sum")),
        (Quadratic(reduction="sum"), MEAN.format("Quadratic", "sum")),
        (SCE(from_logits=True, dtype="bfloat16"), "dtype of Spa.* must be float32 or float64"),
        *((spec, "loss: CTC") for spec in ("CTC", "ctc", keras.losses.CTC(), keras.losses.ctc)),
        (keras.losses.categorical_generalized_cross_entropy, "missing a required argument: 'q'"),
        ("categorical_generalized_cross_entropy", "missing a required argument: 'q'"),
        (
            type("Needy", (Quadratic,), {"__init__": lambda self, needed: None}),
            "an object of Needy",
        ),
        (("get", {}), "loss must be"),
        ("Loss", "loss must be"),
        (("mse", 3), "loss must be"),
        (CCE(from_logits=True, axis=0), GIVES + r"Received: shape \(3,\) for 8 examples"),
        (keras.losses.CosineSimilarity(axis=0), GIVES + r"Received: shape \(3,\)"),
        (keras.losses.Dice(axis=0), GIVES + r"Received: shape \(3,\)"),
        (lambda labels, logits: tf.cast(labels, tf.float32) - logits, GIVES + ".* It raised"),
        (
            lambda labels, logits: tf.cast(labels, tf.float32) - logits[:, :1],
            GIVES + r"Received: shape \(8, 8\)",
        ),
        (Quadratic(), GIVES + ".* It raised"),  # class numbers can't be subtracted from logits
    ],
)
def test_what_is_not_as_its_name_says_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        compiled_loss(make_loss(spec), OPEN)


def test_weights_of_examples():
    weights = tf.constant([1.0, 0, 2, 0, 0, 1, 0, 3])
    chosen = [0, 2, 2, 5, 7, 7, 7]
    for spec in (keras.losses.MeanSquaredError(), CCE(from_logits=True), "Hinge"):
        losses = compiled_loss(make_loss(spec), OPEN)(tf.constant(LABELS), tf.constant(LOGITS))
        expected = np.mean(losses.numpy()[chosen])
        assert float(weighted_mean(losses, weights)) == pytest.approx(expected, rel=1e-6)
    for spec in ("circle", "dice", SCE(from_logits=True, ignore_class=1)):
        losses = compiled_loss(make_loss(spec), OPEN)(tf.constant(LABELS), tf.constant(LOGITS))
        with pytest.raises(ValueError, match="must give one value an example"):
            weighted_mean(losses, weights)
