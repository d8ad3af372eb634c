"""With nothing frozen, a BlockModel trains as stock Keras does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import BlockModel

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.02, momentum=0.9),
    "Nesterov": lambda: keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    "Adam, decay": lambda: keras.optimizers.Adam(0.003, weight_decay=0.01),
    "AdamW": lambda: keras.optimizers.AdamW(0.003, clipnorm=1.0),
    "a schedule": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.0, 40, warmup_target=0.05, warmup_steps=5)
    ),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.001),
}


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Sequence(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 6

    def __getitem__(self, number):
        rows = slice(10 * number, 10 * number + 10)
        return self.images[rows], self.labels[rows]


def generated(images, labels):
    while True:
        yield from (
            tf.nest.map_structure(np.asarray, Sequence(images, labels)[n]) for n in range(6)
        )


@pytest.fixture
def both(network, recorded):
    """A function that trains stock Keras and a BlockModel alike; the steps' logs and histories."""

    def train(data, *, optimizer=None, loss=cross_entropy, outputs=3, metrics=("accuracy",), **fit):
        found = []
        for kind in (lambda net: net, BlockModel):
            model, seen = kind(network(outputs)), recorded()
            model.compile((optimizer or OPTIMIZERS["SGD"])(), loss(), metrics=list(metrics))
            keras.utils.set_random_seed(1)
            given = data() if callable(data) else data
            made = model.fit(*given, verbose=0, callbacks=[seen], **{"epochs": 5, **fit})
            found.append((seen, made.history, model))
        return found

    return train


def check(found, exact=1e-5, evaluated=1e-3):
    (stock, theirs, _), (ours, mine, _) = found
    for name in theirs:
        of_training = name if not name.startswith("val_") else None
        if of_training:
            np.testing.assert_allclose(ours[name], stock[name], rtol=exact, atol=exact)
        np.testing.assert_allclose(mine[name], theirs[name], rtol=evaluated, atol=evaluated)
    assert set(mine) - set(theirs) == {"frozen"}
    assert set(ours["frozen"]) == {0}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_losses_are_stock_keras(both, photos, optimizer):
    found = both(photos, optimizer=OPTIMIZERS[optimizer], batch_size=6, epochs=5)
    check(found)
    assert len(found[0][0].logs) == 50
    assert int(found[1][2].optimizer.iterations) == 50


KINDS = {
    "tensors": lambda images, labels: (tf.constant(images), tf.constant(labels)),
    "dataset": lambda *arrays: (tf.data.Dataset.from_tensor_slices(arrays).batch(7),),
    "sequence": lambda *arrays: (Sequence(*arrays),),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_data(both, photos, kind):
    check(both(lambda: KINDS[kind](*photos), epochs=2))


def test_a_generator(both, photos):
    check(both(lambda: (generated(*photos),), epochs=2, steps_per_epoch=6))


FITS = {
    "validation split": {"validation_split": 0.2},
    "validation data": {"validation_data": True, "validation_freq": 2},
    "class weights": {"class_weight": {0: 2.0, 1: 0.5, 2: 1.0}},
    "example weights": {"sample_weight": np.linspace(0, 2, 60)},
    "from an epoch on": {"initial_epoch": 3},
    "in order": {"shuffle": False},
    "steps of an epoch": {"steps_per_epoch": 2},
}


@pytest.mark.parametrize("given", FITS)
def test_arguments_of_fit(both, photos, given):
    options = dict(FITS[given])
    if "validation_data" in options:
        options["validation_data"] = (photos[0][:20], photos[1][:20])
    check(both(photos, batch_size=12, **options))


def one_hot():
    return keras.losses.CategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("loss", "labels", "outputs"),
    [
        (one_hot, lambda classes: np.eye(3)[classes], 3),
        (
            lambda: keras.losses.BinaryCrossentropy(from_logits=True),
            lambda classes: (classes > 0)[:, None].astype(np.float32),
            1,
        ),
        (keras.losses.MeanSquaredError, lambda classes: classes[:, None] * 0.5, 1),
        (lambda: "mse", lambda classes: np.eye(3, dtype=np.float32)[classes], 3),
    ],
    ids=["one-hot", "one logit", "regression", "by name"],
)
def test_losses_and_labels(both, photos, loss, labels, outputs):
    data = photos[0], labels(photos[1])
    check(both(data, loss=loss, outputs=outputs, metrics=["mae"], batch_size=10, epochs=2))


def test_uint8_is_cast_not_divided(both, photos):
    images = (255 * photos[0]).clip(0, 255).astype(np.uint8)
    slow = lambda: keras.optimizers.SGD(1e-6)  # noqa: E731
    check(both((images, photos[1]), optimizer=slow, batch_size=10, epochs=1))


def test_evaluate_predict_and_single_batches(both, photos):
    found = both(photos, batch_size=12, epochs=1)
    images, labels = photos
    stock, ours = (model for *_, model in found)
    for call in (
        lambda model: model.evaluate(images, labels, verbose=0),
        lambda model: model.predict(images, verbose=0),
        lambda model: model.test_on_batch(images, labels),
        lambda model: model.train_on_batch(images[:9], labels[:9]),
        lambda model: model.train_on_batch(images, labels, class_weight={0: 1.0, 1: 2.0, 2: 3.0}),
        lambda model: model.predict_on_batch(images),
    ):
        np.testing.assert_allclose(call(ours), call(stock), rtol=1e-3, atol=1e-4)
    logs = ours.train_on_batch(images, labels, return_dict=True)
    assert logs.keys() == {"loss", "accuracy", "frozen"}


CALLBACKS = {
    "rates": lambda _: keras.callbacks.LearningRateScheduler(lambda epoch: 0.02 / (1 + epoch)),
    "plateau": lambda _: keras.callbacks.ReduceLROnPlateau("loss", 0.1, 0, min_delta=10),
    "stopping": lambda _: keras.callbacks.EarlyStopping("loss", 10, restore_best_weights=True),
    "TensorBoard": keras.callbacks.TensorBoard,
    "CSV": lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
    "NaN": lambda _: keras.callbacks.TerminateOnNaN(),
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks(network, photos, tmp_path, name):
    losses = []
    for kind in (lambda net: net, BlockModel):
        model = kind(network())
        model.compile(OPTIMIZERS["SGD"](), cross_entropy())
        callback = CALLBACKS[name](tmp_path)
        made = model.fit(*photos, 20, 3, verbose=0, shuffle=False, callbacks=[callback])
        losses.append(made.history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
