import keras
import numpy as np
import pytest

SHAPE = (10, 9, 2)


@pytest.fixture(scope="session")
def photos():
    """60 images, float32, whose class of three shows in their brightness; and their classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.random((60, *SHAPE)) * 0.5 + labels[:, None, None, None] * 0.25
    return images.astype(np.float32), labels


@pytest.fixture(scope="session")
def rows(photos):
    """The images as rows of 180 numbers, and their classes."""
    return photos[0].reshape(60, -1), photos[1]


def make_layers(outputs=3, seed=0):
    """Layers of a small network; the second has a normalization, the third a penalty."""
    layers = keras.layers
    keras.utils.set_random_seed(seed)
    normalized = [layers.Conv2D(6, 3, name="inner"), layers.BatchNormalization(), layers.ReLU()]
    return [
        layers.Conv2D(4, 3, activation="relu", name="stem"),
        keras.Sequential(normalized, name="normalized"),
        layers.Conv2D(
            5, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01), name="penalty"
        ),
        keras.Sequential([layers.Flatten(), layers.Dense(outputs)], name="head"),
    ]


@pytest.fixture
def network():
    """A function that makes the network, with the same weights each time."""

    def make(outputs=3):
        return keras.Sequential([keras.Input(SHAPE), *make_layers(outputs)])

    return make


@pytest.fixture
def dense():
    """A function that makes a small network for `rows`, with the same weights each time."""

    def make():
        keras.utils.set_random_seed(0)
        hidden = [keras.layers.Dense(6, activation="tanh", name=f"hidden_{n}") for n in range(3)]
        return keras.Sequential([keras.Input((180,)), *hidden, keras.layers.Dense(3)])

    return make


class Recorded(keras.callbacks.Callback):
    """The logs of all steps."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append({name: float(value) for name, value in logs.items()})

    def __getitem__(self, name):
        return [logs[name] for logs in self.logs]


@pytest.fixture
def recorded():
    return Recorded
