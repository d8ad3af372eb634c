"""What users of Keras do with a model besides training it once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import BlockModel

layers, optimizers = keras.layers, keras.optimizers
FIT = {"batch_size": 15, "epochs": 2, "verbose": 0, "shuffle": False}
KINDS = (lambda network: network), BlockModel


class Softmax(layers.Layer):
    def call(self, inputs):
        return tf.nn.softmax(inputs)


def logits():
    return [layers.Dense(3, name="logits")]


def small(last=logits):
    """A network for rows of numbers, with the same weights each time."""
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(6, activation="relu", name="hidden")
    return keras.Sequential([keras.Input((10 * 9 * 2,), name="given"), hidden, *last()])


def compiled(model, optimizer=None, loss=None, **more):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or optimizers.SGD(0.02, momentum=0.9), loss, **more)
    return model


def losses(model, *data, **more):
    history = model.fit(*data, **{**FIT, **more}).history
    return [value for name in sorted(history) if name != "frozen" for value in history[name]]


SURE = {
    "an activation": lambda: [layers.Dense(3, activation="softmax")],
    "a layer of one's own": lambda: [*logits(), Softmax()],
    "sigmoid": lambda: [layers.Dense(1, activation="sigmoid")],
}


@pytest.mark.parametrize("last", SURE)
def test_losses_of_probabilities_close_to_0_and_1(rows, last):
    binary = last == "sigmoid"
    data = rows[0] * 2000, (rows[1] > 0) * 1 if binary else rows[1]
    loss = "binary_crossentropy" if binary else "sparse_categorical_crossentropy"
    stock, ours = (
        losses(
            compiled(kind(small(SURE[last])), optimizers.SGD(1e-8), loss),
            *data,
            validation_split=0.25,
        )
        for kind in KINDS
    )
    assert max(stock) > 20  # beyond -log(1e-7), where clipped probabilities end
    np.testing.assert_allclose(ours, stock, rtol=1e-5)


OPTIMIZERS = {
    "global_clipnorm": lambda: optimizers.Adam(0.01, global_clipnorm=0.1),
    "accumulation": lambda: optimizers.SGD(
        0.05, global_clipnorm=0.1, gradient_accumulation_steps=3
    ),
    "loss_scale_factor": lambda: optimizers.SGD(0.05, clipvalue=0.01, loss_scale_factor=512.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_of_optimizers_for_all_weights(rows, name):
    stock, ours = (
        losses(compiled(kind(small()), OPTIMIZERS[name]()), *rows, batch_size=7) for kind in KINDS
    )
    np.testing.assert_allclose(ours, stock, rtol=1e-5)


STRUCTURES = {
    "lists": lambda images, labels: ([images], [labels]),
    "a dict": lambda images, labels: ({"given": images}, labels),
    "a dataset of dicts": lambda images, labels: (
        tf.data.Dataset.from_tensor_slices(({"given": images}, labels)).batch(15),
    ),
    "float64": lambda images, labels: (images.astype(np.float64), labels),
    "labels (n, 1)": lambda images, labels: (images, labels[:, None]),
}


@pytest.fixture(scope="module")
def expected(rows):
    """Losses of two epochs."""
    return losses(compiled(BlockModel(small())), *rows)


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_of_a_single_array(rows, name, expected):
    data = STRUCTURES[name](*rows)
    batch = {"batch_size": None} if len(data) == 1 else {}
    assert losses(compiled(BlockModel(small())), *data, **batch) == expected


def test_several_arrays_are_refused(rows):
    with pytest.raises(ValueError, match="x must be one array: a BlockModel has one input and one"):
        losses(compiled(BlockModel(small())), [rows[0], rows[0]], rows[1])


def test_labels_of_another_kind_in_the_next_fit(rows):
    found = []
    for kind in KINDS:
        model = compiled(kind(small()))
        found.append(
            [losses(model, rows[0], rows[1].astype(dtype)) for dtype in ("int64", "int32")]
        )
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_compiling_several_times_with_one_optimizer(rows):
    model, optimizer = BlockModel(small()), optimizers.SGD(0.02, momentum=0.9)
    expected = losses(compiled(BlockModel(small())), *rows, epochs=4)
    found = losses(compiled(model, optimizer), *rows)
    compiled(compiled(model, optimizer), optimizer)
    assert found + losses(model, *rows) == expected
    model.get_layer("hidden").trainable = False
    assert np.isfinite(losses(compiled(model, optimizer), *rows)).all()


def test_another_optimizer_after_loading_begins_anew(rows, tmp_path):
    model = compiled(BlockModel(small()))
    losses(model, *rows)
    model.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    for each in (model, loaded):
        compiled(each, optimizers.Adam(1e-3))
    assert losses(loaded, *rows) == losses(model, *rows)


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise KeyboardInterrupt


def test_after_an_interrupt_it_goes_on(rows):
    found = []
    for kind in KINDS:
        model = compiled(kind(small()))
        with pytest.raises(KeyboardInterrupt):
            losses(model, *rows, callbacks=[Stop()])
        found.append([*model.evaluate(*rows, verbose=0, return_dict=True).values()])
        found[-1] += losses(model, *rows, validation_split=0.25)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_layers_are_those_of_the_model():
    inputs = keras.Input((10, 9, 2))
    features = layers.Conv2D(2, 3, name="first")(inputs)
    features = layers.Add(name="sum")([features, layers.ReLU(name="relu")(features)])
    features = layers.Dropout(0.1, name="drop")(layers.Flatten(name="flat")(features))
    given = keras.Model(inputs, layers.Dense(3, name="head")(features))
    model, lines = BlockModel(given), []
    assert [layer.name for layer in model.layers[1:]] == [layer.name for layer in given.layers[1:]]
    assert isinstance(model.layers[0], layers.InputLayer)
    assert [layer.name for layer in BlockModel(small()).layers] == ["hidden", "logits"]
    model.summary(print_fn=lines.append)
    assert "head" in "\n".join(lines)
    assert model.get_layer("first") is given.get_layer("first")
    assert model.count_params() == given.count_params()


def test_one_without_shapes_is_whole_after_fit(rows, tmp_path):
    model = compiled(BlockModel([layers.Dense(6, name="hidden"), *logits()]))
    losses(model, *rows)
    expected = model.predict(rows[0], verbose=0)
    assert model.count_params() == 6 * 181 + 3 * 7
    model.save(tmp_path / "x.keras")
    model.export(tmp_path / "exported", verbose=False)
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    exported = tf.saved_model.load(tmp_path / "exported")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    for predict in (loaded.predict, exported.serve, twin.predict):
        np.testing.assert_allclose(predict(rows[0]), expected, rtol=1e-5, atol=1e-6)


def test_weights_that_are_loaded_between_two_fits(rows, tmp_path):
    model = compiled(BlockModel(small()), freeze=["hidden"], cache="memory")
    model.save_weights(tmp_path / "x.weights.h5")
    first = losses(model, *rows, validation_data=rows)
    model.load_weights(tmp_path / "x.weights.h5")
    assert losses(model, *rows, validation_data=rows) == first
