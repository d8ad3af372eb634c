import io

import matplotlib.image
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from batch.data.checkpoint import Checkpoints
from research.callbacks import CheckpointEvery
from research.evaluation import Evaluation
from research.experiment import Experiment
from research.run import Run
from research.tensorboard import TensorBoardLog
from utils import load_data

ONE = Experiment(method="freezeout", iterations=12, batch_size=50, seed=1, finetune_rate=None)
EVALUATION = Evaluation(every=5, batches=2, metrics=("cross_entropy", "accuracy", "top3"))


@pytest.fixture
def data():
    return load_data("digits")


def curves(folder):
    """What TensorBoard reads: steps and values by tag, and the accumulator."""
    events = EventAccumulator(str(folder), {"scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in tags}, events


@pytest.mark.usefixtures("small_networks")
def test_every_series_can_be_read_back(data, tmp_path):
    with TensorBoardLog(tmp_path) as log:
        run = Run(ONE, data, [log], EVALUATION)
        run.advance(12)
    found, events = curves(tmp_path)
    blocks = [layer.name for layer in run.model.network.layers]
    assert set(found) == {
        *("loss", "step_seconds", "train/cross_entropy"),
        *("eval/cross_entropy", "eval/accuracy", "eval/top3"),
        *(f"{kind}/{name}" for kind in ("learning_rate", "active") for name in blocks),
    }
    np.testing.assert_allclose(list(found["loss"].values()), run.history.loss, rtol=1e-6)
    np.testing.assert_allclose(list(found["step_seconds"].values()), run.history.seconds, 1e-6)
    assert list(found["loss"]) == list(range(1, 13))
    assert list(found["eval/accuracy"]) == [1, 5, 10, 12]
    assert found["train/cross_entropy"][5] == pytest.approx(np.mean(run.history.loss[1:5]))
    for step, rates in found["learning_rate/block0"].items():
        assert rates == pytest.approx(run.model.trainer.schedule(step - 1)[1])
    # Rows of the history count leading frozen blocks; a record comes whenever that changes.
    frozen = np.array(run.history.frozen)
    changes = {int(step) + 1 for step in np.flatnonzero(np.diff(frozen, prepend=-1))}
    assert set(found["active/stem"]) == {*changes, 10}
    for step in changes:
        active = [found[f"active/{name}"][step] for name in blocks]
        assert active.count(0) == frozen[step - 1]
    pictures = [tag for tag in events.Tags()["images"] if tag.startswith("images/")]
    assert len(pictures) == 8
    (picture,) = events.Images("images/0")
    shown = matplotlib.image.imread(io.BytesIO(picture.encoded_image_string))
    assert (picture.step, shown.shape[:2]) == (1, (28, 28))
    assert any(np.array_equal(np.round(255 * shown), one[..., 0]) for one in data.train.images)


@pytest.mark.usefixtures("small_networks")
def test_a_run_resumed_has_each_step_once(data, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    events = tmp_path / "events"
    with TensorBoardLog(events) as log:
        Run(ONE, data, [log, CheckpointEvery(checkpoints, 4)], EVALUATION).advance(7)
    resumed = Run(ONE, data, evaluation=EVALUATION)
    resumed.resume(checkpoints)
    with TensorBoardLog(events, made=4, replace=True) as log:
        resumed.callbacks = [log]
        resumed.advance(12)
    found, _ = curves(events)
    assert list(found["loss"]) == list(range(1, 13))
    np.testing.assert_allclose(list(found["loss"].values()), resumed.history.loss, rtol=1e-6)
    assert list(found["eval/accuracy"]) == [1, 5, 10, 12]


def test_curves_of_another_run_are_not_mixed_up(tmp_path):
    with TensorBoardLog(tmp_path):
        pass
    with pytest.raises(FileExistsError, match="holds curves of another run: choose"):
        TensorBoardLog(tmp_path)
