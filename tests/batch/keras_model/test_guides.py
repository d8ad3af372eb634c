"""The examples of Keras' guides, with `keras.Model` exchanged for `BlockModel`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import BlockModel

layers = keras.layers
STOCK = keras.Model


@pytest.fixture(scope="session")
def cats():
    """48 images of pixels from 0 to 255, cats (0) or brighter dogs (1), and labels (n, 1)."""
    rng = np.random.default_rng(0)
    labels = (np.arange(48) % 2)[:, None].astype(np.float32)
    images = rng.random((48, 10, 10, 3)) * 200 + 50 * labels[:, :, None, None]
    return images.astype(np.float32), labels


def pretrained():
    """A small network of the kind of Xception."""
    inputs = keras.Input((10, 10, 3))
    stem = layers.Conv2D(3, 3, strides=2, use_bias=False)(inputs)
    stem = layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(stem))
    separable = layers.SeparableConv2D(3, 3, padding="same", use_bias=False)(stem)
    separable = layers.BatchNormalization(momentum=0.8)(separable)
    return keras.Model(inputs, layers.add([separable, stem]), name="base")


def transfer(kind, augmented):
    """The model of 'Transfer learning & fine-tuning', and its base."""
    keras.utils.set_random_seed(0)
    base_model = pretrained()
    base_model.trainable = False
    inputs = keras.Input(shape=(10, 10, 3))
    x = inputs
    if augmented:
        flips = layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)
        x = keras.Sequential(flips, name="data_augmentation")(x)
    x = layers.Rescaling(scale=1 / 127.5, offset=-1)(x)
    x = base_model(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(1)(x)
    return kind(inputs, outputs), base_model


def tuned(kind, cats, recorded, augmented):
    """Losses of all steps, histories, and the model: frozen first, then as a whole."""
    model, base_model = transfer(kind, augmented)
    seen, histories = recorded(), []
    for rate, epochs in ((1e-2, 2), (1e-3, 3)):
        model.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=[keras.metrics.BinaryAccuracy()],
        )
        fit = {"validation_data": (cats[0][:16], cats[1][:16]), "callbacks": [seen], "verbose": 0}
        histories.append(model.fit(*cats, batch_size=8, epochs=epochs, **fit).history)
        base_model.trainable = True
    return seen["loss"], histories, model


@pytest.mark.parametrize("augmented", [False, True])
def test_transfer_learning(cats, recorded, augmented, bits_in_any_place):
    stock = tuned(STOCK, cats, recorded, augmented)
    ours = tuned(BlockModel, cats, recorded, augmented)
    np.testing.assert_allclose(ours[0], stock[0], rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(ours[1], stock[1]):
        for name in theirs:
            np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-4, atol=1e-5)
    frozen = [history["frozen"][-1] for history in ours[1]]
    assert frozen == ([0, 0] if augmented else [3, 0])
    assert ours[2].get_layer("base").trainable


def test_augmentation_goes_on_before_a_frozen_base(cats):
    model, _ = transfer(BlockModel, augmented=True)
    names = [block.name for block in model.network.layers]
    assert names[0] == "data_augmentation"
    assert [layer.name for layer in model.network.layers[-1].layers[1:-1]] == [
        model.layers[-2].name
    ]


def test_freezing_all_layers_of_a_sequential_but_the_last(photos, network, recorded):
    losses = []
    for kind in (lambda given: given, BlockModel):
        model, seen = kind(network()), recorded()
        for frozen in (True, False):
            for layer in model.layers[:-1]:
                layer.trainable = not frozen
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss)
            model.fit(*photos, 10, 2, 0, shuffle=False, callbacks=[seen])
        losses.append(seen["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


@pytest.fixture(scope="session")
def digits():
    """100 rows of 64 numbers from 0 to 1, and which of ten each is."""
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 10
    rows = rng.random((100, 64)) * 0.5 + np.eye(10).repeat(7, 1)[labels][:, :64] * 0.5
    return rows.astype(np.float32), labels


def uncompiled(kind):
    """The model of 'Training & evaluation with the built-in methods'."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape=(64,), name="digits")
    x = layers.Dense(16, activation="relu", name="dense_1")(inputs)
    x = layers.Dense(16, activation="relu", name="dense_2")(x)
    outputs = layers.Dense(10, activation="softmax", name="predictions")(x)
    return kind(inputs=inputs, outputs=outputs)


def custom_mean_squared_error(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


class CustomMSE(keras.losses.Loss):
    def __init__(self, regularization_factor=0.1, name="custom_mse"):
        super().__init__(name=name)
        self.regularization_factor = regularization_factor

    def call(self, y_true, y_pred):
        mse = keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)
        reg = keras.ops.mean(keras.ops.square(0.5 - y_pred), axis=-1)
        return mse + reg * self.regularization_factor


class CategoricalTruePositives(keras.metrics.Metric):
    def __init__(self, name="categorical_true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_variable(shape=(), name="ctp", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = keras.ops.reshape(keras.ops.argmax(y_pred, axis=1), (-1, 1))
        values = keras.ops.cast(y_true, "int32") == keras.ops.cast(y_pred, "int32")
        values = keras.ops.cast(values, "float32")
        if sample_weight is not None:
            values = keras.ops.multiply(values, keras.ops.cast(sample_weight, "float32"))
        self.true_positives.assign_add(keras.ops.sum(values))

    def result(self):
        return self.true_positives + 0  # or stock Keras shows what it is after validation


class ExamplePyDataset(keras.utils.PyDataset):
    def __init__(self, x, y, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y = x, y

    def __len__(self):
        return 10

    def __getitem__(self, idx):
        rows = slice(10 * idx, 10 * idx + 10)
        return self.x[rows], self.y[rows]


def one_hot(digits):
    return digits[0], np.eye(10)[digits[1]]


def weighted(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y, np.where(y == 5, 2.0, 1.0))).batch(10)


SPARSE = {
    "loss": "sparse_categorical_crossentropy",
    "metrics": lambda: ["sparse_categorical_accuracy"],
}
DECAY = keras.optimizers.schedules.ExponentialDecay
EXAMPLES = {
    "a loss by function": (
        {"optimizer": lambda: keras.optimizers.Adam(), "loss": custom_mean_squared_error},
        lambda x, y: dict(zip("xy", one_hot((x, y)))),
    ),
    "a metric of one's own": (
        {
            "optimizer": lambda: keras.optimizers.AdamW(1e-3),
            **SPARSE,
            "metrics": lambda: [CategoricalTruePositives(), "sparse_categorical_accuracy"],
        },
        lambda x, y: {"x": x, "y": y, "validation_split": 0.2},
    ),
    "class weights": (
        {
            "optimizer": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
            **SPARSE,
            "weighted_metrics": ["accuracy"],
        },
        lambda x, y: {
            **{"x": x, "y": y, "validation_split": 0.3},
            "class_weight": {number: 2.0 if number == 5 else 1.0 for number in range(10)},
        },
    ),
    "weights in a dataset": (
        {
            "optimizer": lambda: keras.optimizers.Adam(1e-3, weight_decay=0.01),
            **SPARSE,
            "weighted_metrics": ["accuracy"],
        },
        lambda x, y: {"x": weighted(x, y), "batch_size": None, "validation_data": weighted(x, y)},
    ),
    "a PyDataset, a loss by class": (
        {"optimizer": lambda: keras.optimizers.RMSprop(DECAY(0.01, 20, 0.5)), "loss": CustomMSE()},
        lambda x, y: {"x": ExamplePyDataset(*one_hot((x, y))), "batch_size": None},
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_training_with_the_built_in_methods(digits, recorded, name):
    (options, data), found = EXAMPLES[name], []
    for kind in (STOCK, BlockModel):
        model, seen = uncompiled(kind), recorded()
        metrics = options.get("metrics", list)
        made = {"optimizer": options["optimizer"](), "metrics": metrics()}
        model.compile(**{**options, **made})
        keras.utils.set_random_seed(1)
        fit = {"batch_size": 10, "epochs": 5, "verbose": 0, **data(*digits)}
        history = model.fit(**fit, callbacks=[seen]).history
        found.append((seen, history))
    (theirs, stock), (ours, mine) = found
    for log in theirs.logs[0]:
        np.testing.assert_allclose(ours[log], theirs[log], rtol=1e-5, atol=1e-6)
    for log in stock:
        np.testing.assert_allclose(mine[log], stock[log], rtol=1e-4, atol=1e-5)
