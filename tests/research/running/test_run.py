import dataclasses
import json
import shutil

import numpy as np
import pytest

from batch.data import checkpoint
from batch.data.checkpoint import CheckpointError, Checkpoints, read_checkpoint
from batch.data.data import Data, Split
from research.experiments.experiment import Experiment
from research.running.callbacks import Callback, CheckpointEvery
from research.running.evaluation import Evaluation
from research.running.run import Run, run
from utils import load_data


class Seen(Callback):
    def __init__(self):
        self.found = []
        self.iterations = 0

    def on_train_batch_end(self, run):
        self.iterations += 1

    def on_test_end(self, run, logs):
        self.found.append(logs)


@pytest.fixture(scope="module")
def small():
    """60 colour images of 8×8 in 3 classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    return Data("small", 3, Split(images, labels), Split(images[:30], labels[:30]))


@pytest.mark.usefixtures("small_networks")
def test_evaluation_after_every_epoch_and_at_the_end():
    data, seen = load_data("digits"), Seen()
    one = Experiment(method="freezeout", iterations=5, batch_size=600)
    history, model = run(one, data, [seen], Evaluation())
    first, last = seen.found
    assert seen.iterations == 5
    assert [(found["iteration"], found["epoch"]) for found in seen.found] == [(3, 1), (5, 2)]
    assert last["epochs"] == pytest.approx(3000 / 1347, abs=1e-4)
    assert first["train_loss"] == pytest.approx(np.mean(history.loss[:3]))
    assert last["train_loss"] == pytest.approx(np.mean(history.loss[3:]))
    assert last["steps"] == 2
    assert last["steps_seconds"] == pytest.approx(sum(history.seconds[3:]))
    assert last["val_err"] == pytest.approx(100 * (1 - history.accuracy))
    loss = model.predict(data.test.images, data.test.labels, fetches="loss")
    assert last["val_loss"] == pytest.approx(loss)
    assert last["eval"] == {"cross_entropy": last["val_loss"], "accuracy": history.accuracy}
    assert [found["active"] for found in seen.found] == [5, 5 - history.frozen[-1]]
    assert last["seconds"] == pytest.approx(sum(history.seconds))


def test_evaluation_every_few_iterations_on_some_batches(small):
    seen = Seen()
    one = Experiment(model="wideresnet", model_options={"depth": 10}, iterations=7, batch_size=10)
    evaluation = Evaluation(every=3, batches=2, metrics=("top2", "accuracy"))
    plain, _ = run(one, small)
    watched, model = run(one, small, [seen], evaluation)
    assert [found["iteration"] for found in seen.found] == [1, 3, 6, 7]
    assert [found["steps"] for found in seen.found] == [1, 2, 3, 1]
    rows = np.random.default_rng(one.seed).permutation(30)[:20]
    images, labels = small.test.images[rows], small.test.labels[rows]
    expected = model.predict(images, labels, fetches=["output_top_2", "output_accuracy"])
    assert list(seen.found[-1]["eval"].values()) == pytest.approx(expected)
    assert list(seen.found[-1]["eval"]) == ["top2", "accuracy"]
    assert seen.found[-1]["images"] == 20
    assert watched.loss == plain.loss  # looking on changes nothing
    assert watched.accuracy == plain.accuracy


def test_more_batches_than_there_are_to_evaluate_on_are_refused(small):
    with pytest.raises(ValueError, match=r"4 batches of 10 images takes 40, and small has 30 to"):
        Run(Experiment(batch_size=10), small, evaluation=Evaluation(batches=4))


def test_a_metric_that_tells_nothing_is_refused(small):
    with pytest.raises(ValueError, match="top3 is always 1: small has 3 classes"):
        Run(Experiment(batch_size=10), small, evaluation=Evaluation(metrics=("top3",)))


WIDE = {"model": "wideresnet", "model_options": {"depth": 10, "widen_factor": 1, "dropout": 0.2}}
KINDS = {
    "classic": {**WIDE, "milestones": (0.3, 0.6), "augment": True, "normalize": True},
    "freezeout": {**WIDE, "how_scale": "cubic", "t_0": 0.5, "weight_decay": 1e-3},
    "annealed": {"model": "densenet", "model_options": {"depth": 10, "growth_rate": 4}},
    "stochastic": {"survival": 0.4},
    "autofreeze": {"freeze_every": 2},
}


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize("method", KINDS)
def test_a_resumed_run_is_as_if_never_interrupted(small, tmp_path, method):
    one = Experiment(method=method, iterations=12, batch_size=16, seed=3, **KINDS[method])
    whole, network = run(one, small)
    checkpoints = {at: Checkpoints(tmp_path / str(at)) for at in (4, 9)}
    interrupted = Run(one, small, [CheckpointEvery(checkpoints[at], at) for at in checkpoints])
    for at in checkpoints:
        interrupted.advance(at + 2)
        resumed = Run(one, small)
        resumed.resume(checkpoints[at])
        assert len(resumed.history) == at
        assert resumed.model.frozen == whole.frozen[at - 1]
        resumed.advance(one.iterations)
        assert resumed.history.loss == whole.loss
        assert resumed.history.frozen == whole.frozen
        assert resumed.history.seconds[:at] == interrupted.history.seconds[:at]
        assert resumed.history.rates == whole.rates
        assert resumed.history.accuracy == whole.accuracy
        for ours, theirs in zip(resumed.model.network.get_weights(), network.network.get_weights()):
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """The folder with checkpoints after 2, 4, 6 and 8 iterations, the newest 3 kept; their run."""
    one = Experiment(**WIDE, iterations=9, batch_size=10)
    folder = tmp_path_factory.mktemp("made") / "checkpoints"
    run = Run(one, small, [CheckpointEvery(Checkpoints(folder, keep=3), 2)])
    run.advance(9)
    return folder, run


@pytest.fixture
def saved(made, tmp_path):
    """These checkpoints, and their run."""
    folder, run = made
    shutil.copytree(folder, tmp_path / "checkpoints")
    return Checkpoints(tmp_path / "checkpoints", keep=3), run


def test_the_newest_are_kept_and_hold_what_was_there(saved):
    checkpoints, made = saved
    names = sorted(path.name for path in checkpoints.folder.iterdir())
    assert names == ["00000004", "00000006", "00000008"]
    newest = checkpoints.newest()
    assert newest.iteration == 8
    assert newest.history.loss == made.history.loss[:8]
    layers = len(made.model.network.layers)
    assert newest.history.rates == made.history.rates == [[0, [0.03] * layers]]
    assert newest.run["model_options"] == WIDE["model_options"]
    assert read_checkpoint(checkpoints.folder / "00000004").iteration == 4


def test_a_setting_that_is_newer_than_a_checkpoint_had_its_default(saved, small):
    checkpoints, made = saved
    record = checkpoints.newest().folder / "checkpoint.json"
    text = json.loads(record.read_text())
    del text["run"]["count_classifier"], text["rates"]
    record.write_text(json.dumps(text))
    resumed = Run(made.experiment, small)
    resumed.resume(checkpoints)
    assert len(resumed.history) == 8
    resumed.advance(1)
    assert resumed.history.rates is None  # those of the first 8 are not known
    other = Run(dataclasses.replace(made.experiment, count_classifier=True), small)
    with pytest.raises(CheckpointError, match="with count_classifier False, not True"):
        other.resume(checkpoints)


def test_nothing_to_resume_starts_from_the_beginning(small, tmp_path):
    fresh = Run(Experiment(**WIDE, iterations=2, batch_size=10), small)
    fresh.resume(Checkpoints(tmp_path / "none"))
    assert len(fresh.history) == 0


def test_a_damaged_checkpoint_is_passed_over(saved):
    checkpoints, _ = saved
    (checkpoints.folder / "00000008" / "model").write_bytes(b"half of it")
    (checkpoints.folder / "00000010.partial").mkdir()  # what a crash while saving leaves
    assert checkpoints.newest().iteration == 6
    (checkpoints.folder / "00000006" / "checkpoint.json").unlink()
    assert checkpoints.newest().iteration == 4
    (checkpoints.folder / "00000004" / "history.csv").write_text("")
    with pytest.raises(CheckpointError, match=r"No checkpoint is whole: .*00000008.* is damaged"):
        checkpoints.newest()


def test_a_save_that_fails_leaves_the_earlier_ones(saved, monkeypatch):
    checkpoints, made = saved
    before = {path: path.read_bytes() for path in checkpoints.folder.glob("*/*")}

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "write_histories", full)  # after the model was written
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(made.model, made.history, {})
    whole = [path for path in checkpoints.folder.glob("*/*") if ".partial" not in str(path)]
    assert {path: path.read_bytes() for path in whole} == before
    monkeypatch.undo()
    checkpoints.save(made.model, made.history, {})
    names = sorted(path.name for path in checkpoints.folder.iterdir())
    assert names == ["00000006", "00000008", "00000009"]


def test_what_is_later_than_the_run_is_of_a_future_given_up(saved):
    checkpoints, made = saved
    (checkpoints.folder / "00000008").rename(checkpoints.folder / "00000020")
    Checkpoints(checkpoints.folder, keep=1).save(made.model, made.history, {})
    assert [path.name for path in checkpoints.folder.iterdir()] == ["00000009"]


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep must be a whole number above 0"):
        Checkpoints(tmp_path, keep=0)


def test_a_checkpoint_of_other_images_is_refused(saved, small):
    checkpoints, made = saved
    images = small.train.images.copy()
    images[7, 0, 0, 0] ^= 1
    changed = dataclasses.replace(small, train=Split(images, small.train.labels))
    with pytest.raises(CheckpointError, match="of a run with train_sha256"):
        Run(made.experiment, changed).resume(checkpoints)


def test_a_checkpoint_of_another_run_is_refused(saved, small):
    checkpoints, made = saved
    other = dataclasses.replace(made.experiment, batch_size=12, seed=1)
    with pytest.raises(CheckpointError, match="of a run with batch_size 10, not 12, seed 0, not 1"):
        Run(other, small).resume(checkpoints)
