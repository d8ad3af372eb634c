import io
from dataclasses import replace

import keras
import matplotlib.image
import numpy as np
import pytest
from batchflow import Dataset, DatasetIndex, M
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from batch import BlockModel, BlockTensorBoard, EventLog, ResBatch
from batch.data.checkpoint import Checkpoints
from research.experiments.experiment import Experiment
from research.running.callbacks import CheckpointEvery
from research.running.comparison import compare
from research.running.evaluation import Evaluation
from research.running.run import Run
from research.running.tensorboard import TensorBoardLog, logs_of_runs
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
    run = Run(ONE, data, [TensorBoardLog(tmp_path)], EVALUATION)
    run.advance(12)
    found, events = curves(tmp_path)
    blocks = [layer.name for layer in run.model.network.layers]
    assert set(found) == {
        *("loss", "step_seconds", "frozen", "train/cross_entropy", "test/accuracy"),
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
        assert active.count(0) == found["frozen"][step] == frozen[step - 1]
    pictures = [tag for tag in events.Tags()["images"] if tag.startswith("images/")]
    assert len(pictures) == 8
    assert events.Tags()["graph"]
    (picture,) = events.Images("images/0")
    shown = matplotlib.image.imread(io.BytesIO(picture.encoded_image_string))
    assert (picture.step, shown.shape[:2]) == (1, (28, 28))
    assert any(np.array_equal(np.round(255 * shown), one[..., 0]) for one in data.train.images)


@pytest.mark.usefixtures("small_networks")
def test_a_run_resumed_has_each_step_once(data, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    events = tmp_path / "events"
    callbacks = [TensorBoardLog(events), CheckpointEvery(checkpoints, 4)]
    Run(ONE, data, callbacks, EVALUATION).advance(7)
    resumed = Run(ONE, data, [TensorBoardLog(events, replace=True)], EVALUATION)
    resumed.resume(checkpoints)
    resumed.advance(12)
    found, _ = curves(events)
    assert list(found["loss"]) == list(range(1, 13))
    np.testing.assert_allclose(list(found["loss"].values()), resumed.history.loss, rtol=1e-6)
    assert list(found["eval/accuracy"]) == [1, 5, 10, 12]


def test_curves_of_another_run_are_not_mixed_up(tmp_path):
    log = EventLog(tmp_path / "inner")
    log.scalars({"loss": 1.0}, 1)
    log.close()
    for make in (TensorBoardLog, EventLog, BlockTensorBoard, logs_of_runs):
        with pytest.raises(FileExistsError, match="holds curves of another run: choose"):
            make(tmp_path)


def test_every_front_end_writes_the_same_names(examples, blocks, tmp_path):
    images, labels = examples
    log, losses = EventLog(tmp_path / "pipeline"), []
    pipeline = (
        Dataset(DatasetIndex(len(labels)), ResBatch)
        .p.set_config({"freeznet": {"network": blocks(), "iteration": 4}})
        .train_freez(losses, images, labels)
        .call(log, M("freeznet"))
    )
    for _ in range(3):
        pipeline.next_batch(20, n_epochs=None, shuffle=2)
    log.close()
    schedule = "FreezeOut", {"iterations": 4, "learning_rate": 0.1}
    model = BlockModel(blocks())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], schedule=schedule)
    data = {"validation_split": 0.2, "batch_size": 16, "verbose": 0}
    model.fit(images, labels, callbacks=[BlockTensorBoard(tmp_path / "fit")], **data)
    (pipelines, _), (fitted, events) = curves(tmp_path / "pipeline"), curves(tmp_path / "fit")
    np.testing.assert_allclose(list(pipelines["loss"].values()), losses, rtol=1e-6)
    names = [layer.name for layer in model.network.layers]
    of_steps = {
        *("loss", "step_seconds", "frozen"),
        *(f"{kind}/{name}" for kind in ("learning_rate", "active") for name in names),
    }
    assert set(fitted) == {
        *of_steps,
        *(f"{part}/{name}" for part in ("train", "eval") for name in ("cross_entropy", "accuracy")),
    }
    assert len(pipelines) == len(of_steps)
    assert list(fitted["eval/accuracy"]) == [3]
    assert events.Tags()["graph"]


@pytest.mark.usefixtures("small_networks")
def test_a_comparison_has_a_log_and_settings_for_each_run(data, tmp_path):
    base = Experiment(iterations=2, batch_size=10)
    named = {"classic": base, "freezeout t_0=0.5": replace(base, method="freezeout", t_0=0.5)}
    compare(named, [0], data, quiet=True, callbacks=logs_of_runs(tmp_path))
    settings = {}
    for label in named:
        found, events = curves(tmp_path / label / "seed-0")
        assert list(found["test/accuracy"]) == [2]
        content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        (info,) = [HParamsPluginData.FromString(content).session_start_info]
        settings[label] = {
            name: getattr(value, value.WhichOneof("kind")) for name, value in info.hparams.items()
        }
    assert settings["classic"]["method"] == "classic"
    assert "t_0" not in settings["classic"]
    assert settings["freezeout t_0=0.5"]["t_0"] == 0.5
    assert settings["freezeout t_0=0.5"]["learning_rate"] == pytest.approx(0.06)
