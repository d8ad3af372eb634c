"""What is saved in mid-freeze goes on as if nothing had been."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from batch import AutoFreeze, BlockModel, FreezeOut

FREEZING = {"iterations": 30, "learning_rate": 0.01, "t_0": 0.3, "degree": 1, "scaled": False}
FIT = {"batch_size": 10, "verbose": 0, "shuffle": False}


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model, schedule=("FreezeOut", FREEZING)):
    model.compile(
        keras.optimizers.Adam(0.01), cross_entropy(), metrics=["accuracy"], schedule=schedule
    )
    return model


def history(model, photos, **more):
    made = model.fit(*photos, **FIT, **more).history
    return {name: made[name] for name in ("loss", "accuracy", "frozen")}


SCHEDULES = {
    "by name": lambda: ("FreezeOut", FREEZING),
    "a schedule": lambda: FreezeOut(3, **FREEZING),
    "a function of the blocks": lambda: lambda blocks: FreezeOut(blocks, **FREEZING),
    "a rule": lambda: lambda blocks: AutoFreeze(blocks, 40, 0.01, every=5),
    "none": lambda: None,
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_saved_model_goes_on(network, photos, tmp_path, schedule):
    model = compiled(BlockModel(network()), SCHEDULES[schedule]())
    model.fit(*photos, epochs=3, **FIT)
    model.save(tmp_path / "x.keras")
    expected = history(model, photos, epochs=2)
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    assert isinstance(loaded, BlockModel)
    assert history(loaded, photos, epochs=2) == expected
    assert loaded.frozen == model.frozen
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_that_never_trained_is_saved_too(network, photos, tmp_path):
    model = compiled(BlockModel(network()))
    model.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    assert history(loaded, photos, epochs=2) == history(model, photos, epochs=2)


def test_checkpoints_of_every_epoch_go_on(network, photos, tmp_path):
    path = str(tmp_path / "{epoch}.keras")
    saving = keras.callbacks.ModelCheckpoint(path)
    whole = history(compiled(BlockModel(network())), photos, epochs=6, callbacks=[saving])
    for epoch in (1, 3, 5):
        loaded = keras.saving.load_model(tmp_path / f"{epoch}.keras")
        rest = history(loaded, photos, epochs=6, initial_epoch=epoch)
        assert rest == {name: values[epoch:] for name, values in whole.items()}


class Stop(keras.callbacks.Callback):
    """Ends the process's run in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 21:
            raise KeyboardInterrupt


def test_backup_and_restore_goes_on(network, photos, tmp_path):
    expected = history(compiled(BlockModel(network())), photos, epochs=6)
    killed = compiled(BlockModel(network()))
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        killed.fit(*photos, **FIT, epochs=6, callbacks=[backup, Stop()])
    again = compiled(BlockModel(network()))
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    made = history(again, photos, epochs=6, callbacks=[backup])
    assert made == {name: values[3:] for name, values in expected.items()}
    assert again.frozen == 3


def test_weights_alone_keep_the_state(network, photos, tmp_path):
    model = compiled(BlockModel(network()))
    model.fit(*photos, epochs=3, **FIT)
    model.save_weights(tmp_path / "x.weights.h5")
    expected = history(model, photos, epochs=1)
    other = compiled(BlockModel(network()))
    other.load_weights(tmp_path / "x.weights.h5")
    assert history(other, photos, epochs=1) == expected


def test_a_schedule_that_cannot_be_saved_is_given_again(network, photos, tmp_path, caplog):
    def halving(blocks):
        return lambda iteration: [0.0 if iteration > 9 else 0.01] * blocks

    model = compiled(BlockModel(network()), halving)
    model.fit(*photos, epochs=1, **FIT)
    model.save(tmp_path / "x.keras")
    assert "The schedule, halving, is not in the file: give it to compile again." in caplog.text
    expected = history(model, photos, epochs=2)
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    with pytest.raises(ValueError, match="The file lacked the schedule: give it to compile again"):
        loaded.fit(*photos, **FIT)
    assert history(compiled(loaded, halving), photos, epochs=2) == expected


def test_it_loads_in_another_process(network, photos, tmp_path):
    model = compiled(BlockModel(network()))
    model.fit(*photos, epochs=3, **FIT)
    model.save(tmp_path / "x.keras")
    np.savez(tmp_path / "photos.npz", *photos)
    script = f"""
from batch import BlockModel
import json, keras, numpy as np
model = keras.saving.load_model({str(tmp_path / "x.keras")!r}, safe_mode=True)
photos = np.load({str(tmp_path / "photos.npz")!r})
print(json.dumps(model.fit(photos["arr_0"], photos["arr_1"], **{FIT}).history["loss"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == history(model, photos)["loss"]
