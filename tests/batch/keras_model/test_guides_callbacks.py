"""Callbacks of Keras' guides, beside stock Keras and beside a schedule."""

import keras
import numpy as np
import pytest

from batch import BlockModel

FIT = {"batch_size": 12, "epochs": 4, "verbose": 0, "validation_split": 0.2}
KINDS = {"stock": lambda network: network, "ours": BlockModel}


class LossHistory(keras.callbacks.Callback):
    def on_train_begin(self, logs):
        self.per_batch_losses = []

    def on_batch_end(self, batch, logs):
        self.per_batch_losses.append(logs.get("loss"))


class EarlyStoppingAtMinLoss(keras.callbacks.Callback):
    def __init__(self, patience=0):
        super().__init__()
        self.patience, self.best_weights = patience, None

    def on_train_begin(self, logs=None):
        self.wait, self.stopped_epoch, self.best = 0, 0, np.inf

    def on_epoch_end(self, epoch, logs=None):
        if np.less(logs.get("loss"), self.best):
            self.best, self.wait = logs.get("loss"), 0
            self.best_weights = self.model.get_weights()
        else:
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch = epoch
                self.model.stop_training = True
                self.model.set_weights(self.best_weights)


class CustomLearningRateScheduler(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.printed = []

    def on_epoch_begin(self, epoch, logs=None):
        rate = float(self.model.optimizer.learning_rate)
        self.model.optimizer.learning_rate = 0.02 / (1 + epoch)
        self.printed.append(f"Epoch {epoch}: {rate:.4f}")


class Diverges(EarlyStoppingAtMinLoss):
    """Raises the rate in the second epoch, so that the loss grows."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate.assign(0.02 if epoch < 2 else 3.0)


def compiled(kind, dense, **own):
    model = KINDS[kind](dense())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, **own)
    return model


CALLBACKS = {
    "LossHistory": lambda folder: LossHistory(),
    "EarlyStoppingAtMinLoss": lambda folder: Diverges(),
    "CustomLearningRateScheduler": lambda folder: CustomLearningRateScheduler(),
    "ReduceLROnPlateau": lambda folder: keras.callbacks.ReduceLROnPlateau(min_delta=9, patience=1),
    "EarlyStopping": lambda folder: keras.callbacks.EarlyStopping("val_loss", min_delta=1e-2),
    "ModelCheckpoint": lambda folder: keras.callbacks.ModelCheckpoint(
        folder / "model_{epoch}.keras", save_best_only=True, monitor="val_loss"
    ),
    "TensorBoard": lambda folder: keras.callbacks.TensorBoard(folder, histogram_freq=1),
}


@pytest.fixture
def results(dense, rows, tmp_path):
    """A function that trains stock Keras and a BlockModel with a callback."""

    def train(name):
        made = {}
        for kind in KINDS:
            keras.utils.set_random_seed(1)
            callback = CALLBACKS[name](tmp_path / kind)
            model = compiled(kind, dense)
            history = model.fit(*rows, **FIT, callbacks=[callback]).history
            made[kind] = callback, history
        return made["stock"], made["ours"]

    return train


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_of_the_guides(results, name, tmp_path):
    (theirs, stock), (ours, mine) = results(name)
    for log in stock:
        np.testing.assert_allclose(mine[log], stock[log], rtol=1e-3, atol=1e-4)
    same = [name for name in vars(theirs) if name in ("printed", "stopped_epoch", "wait")]
    assert [vars(ours)[name] for name in same] == [vars(theirs)[name] for name in same]
    written = {kind: sorted(path.name for path in (tmp_path / kind).glob("*")) for kind in KINDS}
    assert written["ours"] == written["stock"]
    if name == "LossHistory":
        np.testing.assert_allclose(ours.per_batch_losses, theirs.per_batch_losses, rtol=1e-5)


def test_a_callback_that_sets_the_rate_beside_a_schedule_is_refused(dense, rows):
    model = compiled("ours", dense, schedule=("Constant", {"learning_rate": 0.02}))
    with pytest.raises(ValueError, match=r"'schedule' sets .* Expected: 0.02. Received: 0.01"):
        model.fit(*rows, **FIT, callbacks=[CustomLearningRateScheduler()])
    assert model._training.trainer.iteration == 4  # the first epoch, in which it sets 0.02


class Averages(keras.callbacks.Callback):
    """Replaces the weights in the middle of a training, as weight averaging does."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.params["epochs"] - 2:
            self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])


def test_weights_that_are_set_end_the_cache(dense, rows, bits_in_any_place):
    freezing = {"iterations": 16, "learning_rate": 0.02, "t_0": 0.3, "degree": 1, "scaled": False}
    histories, hits = [], []
    for cache in ("off", "memory"):
        model = compiled("ours", dense, cache=cache, schedule=("FreezeOut", freezing))
        stopping = keras.callbacks.EarlyStopping("loss", 1, mode="max", restore_best_weights=True)
        found = [model.fit(*rows, **{**FIT, "epochs": 6}, callbacks=[Averages()])]
        found += [model.fit(*rows, **FIT, callbacks=[stopping])]
        found += [model.fit(*rows, **{**FIT, "epochs": 2})]
        model.layers[0].set_weights([2 * weight for weight in model.layers[0].get_weights()])
        found += [model.fit(*rows, **{**FIT, "epochs": 2})]
        histories.append([[each.history["loss"], each.history["val_loss"]] for each in found])
        hits.append(model._training.trainer.cache.hits)
    assert hits[1] > hits[0] == 0
    assert histories[0] == histories[1]
