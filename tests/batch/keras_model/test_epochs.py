"""Schedules that count epochs: what they are made of when fit begins, and that they go on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import BlockModel, FreezeOut

FIT = {"batch_size": 10, "verbose": 0, "shuffle": False}


def of_epochs(blocks, steps):
    return FreezeOut(blocks, 4 * steps, 0.02, t_0=0.3, degree=1, scaled=False)


def of_iterations(steps):
    return lambda blocks: of_epochs(blocks, steps)


@pytest.fixture
def model(dense):
    """A function that makes a model, compiled with a schedule."""

    def make(schedule=of_epochs):
        made = BlockModel(dense())
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        made.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, schedule=schedule)
        return made

    return make


def dataset(rows):
    return tf.data.Dataset.from_tensor_slices(rows).batch(10)


def generated(rows):
    yield from dataset(rows)


DATA = {
    "arrays": (lambda rows: dict(zip("xy", rows)), 6),
    "larger batches": (lambda rows: {**dict(zip("xy", rows)), "batch_size": 25}, 3),
    "a split": (lambda rows: {**dict(zip("xy", rows)), "validation_split": 0.5}, 3),
    "a dataset": (lambda rows: {"x": dataset(rows), "batch_size": None}, 6),
    "without end": (
        lambda rows: {"x": dataset(rows).repeat(), "batch_size": None, "steps_per_epoch": 4},
        4,
    ),
}


@pytest.mark.parametrize("kind", DATA)
def test_the_steps_of_an_epoch(model, rows, kind):
    made, (data, steps) = model(), DATA[kind]
    history = made.fit(**{**FIT, **data(rows)}, epochs=5).history
    ends = of_epochs(3, steps).last_iterations
    assert made._options.steps == steps
    expected = [np.count_nonzero(ends <= steps * epoch - 1) for epoch in range(1, 6)]
    assert history["frozen"] == expected


@pytest.mark.parametrize("data", [lambda rows: dataset(rows).repeat(), generated])
def test_epochs_of_unknown_length_are_refused(model, rows, data):
    made = model()
    before = made.get_weights()
    with pytest.raises(ValueError, match=r"does not say it: give steps_per_epoch\. Received: None"):
        made.fit(data(rows), epochs=2, verbose=0)
    assert all(np.array_equal(*pair) for pair in zip(before, made.get_weights()))


def test_other_epochs_are_refused(model, rows):
    made = model()
    made.fit(*rows, **FIT)
    with pytest.raises(ValueError, match=r"of 6 steps: compile again for others\. Received: 3"):
        made.fit(*rows, **{**FIT, "batch_size": 20})
    made.evaluate(*rows, batch_size=20, verbose=0)
    made.fit(*rows, **FIT)
    assert made._training.trainer.iteration == 12


def test_a_batch_alone_is_refused(model, rows):
    with pytest.raises(ValueError, match="needs fit, which knows how many steps they have"):
        model().train_on_batch(*rows)


def test_it_is_the_same_as_in_iterations_and_goes_on(model, rows, tmp_path):
    expected = model(of_iterations(6)).fit(*rows, **FIT, epochs=5).history
    made = model()
    first = made.fit(*rows, **FIT, epochs=2).history
    made.save(tmp_path / "x.keras")
    for going_on in (made, keras.saving.load_model(tmp_path / "x.keras")):
        rest = going_on.fit(*rows, **FIT, epochs=5, initial_epoch=2).history
        assert {name: first[name] + rest[name] for name in rest} == expected


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 15:
            raise KeyboardInterrupt


def test_backup_and_restore_goes_on(model, rows, tmp_path):
    expected = model().fit(*rows, **FIT, epochs=5).history
    for stop in ([Stop()], []):
        made = model()
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        try:
            rest = made.fit(*rows, **FIT, epochs=5, callbacks=[backup, *stop]).history
        except KeyboardInterrupt:
            continue
    assert rest == {name: values[2:] for name, values in expected.items()}


def test_one_that_was_never_made_is_given_again(model, rows, tmp_path, caplog):
    model().save(tmp_path / "x.keras")
    assert "The schedule, of_epochs, is not in the file" in caplog.text
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    with pytest.raises(ValueError, match="give it to compile again"):
        loaded.fit(*rows, **FIT)
