import dataclasses
import json

import numpy as np
import pytest

from batch import machine
from batch.data.checkpoint import CheckpointError, Checkpoints
from batch.data.data import Data, Split
from batch.flops import block_costs, step_cost
from research.experiments.cache_memory import alike, settled
from research.experiments.experiment import Experiment
from research.experiments.prediction import predicted_ratio, ratio_of_runs
from research.running.callbacks import CheckpointEvery
from research.running.run import Run, run

FREEZING = {"method": "freezeout", "how_scale": "linear", "t_0": 0.2, "iterations": 16}
WIDE = {"model": "wideresnet", "model_options": {"depth": 10, "widen_factor": 1}}
ONE = Experiment(**FREEZING, **WIDE, batch_size=20)


@pytest.fixture(scope="module")
def small():
    """60 colour images of 8×8 in 3 classes."""
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    return Data("small", 3, Split(images, labels), Split(images[:30], labels[:30]))


@pytest.fixture(scope="module")
def free():
    """A function that sets what memory is free. The cache pays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "FORWARD_SPEED", 1e5)
        patch.setattr("batch.feature_cache.placement.unwritten", lambda: 0)

        def set_free(memory):
            patch.setattr("batch.feature_cache.placement.free_memory", lambda: memory)

        yield set_free


@pytest.fixture(scope="module")
def whole(small, free):
    """A run that was not interrupted, and its model."""
    free(2 * 10**8)
    return run(ONE, small)


@pytest.mark.usefixtures("bits_in_any_place")
def test_a_run_resumed_with_other_memory_is_the_whole_run(whole, small, free, tmp_path):
    free(2 * 10**8)
    history, model = whole
    checkpoints = {at: Checkpoints(tmp_path / str(at)) for at in (5, 12)}
    killed = Run(ONE, small, [CheckpointEvery(checkpoints[at], at) for at in checkpoints])
    free(100)  # room for no feature
    for at in checkpoints:
        killed.advance(at + 1)
        resumed = Run(ONE, small)
        resumed.resume(checkpoints[at])
        assert resumed.experiment.cache == killed.model.trainer.cache.storage == 10**8
        resumed.advance(ONE.iterations)
        assert resumed.history.loss == history.loss
        for ours, theirs in zip(resumed.model.network.get_weights(), model.network.get_weights()):
            np.testing.assert_array_equal(ours, theirs)
        for used in (history.cache, resumed.history.cache):
            assert 0 < used["computed"] < used["asked"]


@pytest.mark.usefixtures("bits_in_any_place")
def test_losses_are_those_without_a_cache(whole, small):
    plain, _ = run(dataclasses.replace(ONE, cache="off"), small)
    assert plain.loss == whole[0].loss


def check_predicted(experiment, history, model):
    """What a run was spared is what was predicted, before it and from what was frozen in it."""
    one = settled({"it": experiment})["it"]
    costs, iterations = block_costs(model.network), one.iterations
    without, cached = (predicted_ratio(one, costs, examples=count) for count in (None, 60))
    every_step = iterations * one.batch_size * step_cost(costs, (True,) * len(costs))
    spared = model.trainer.cache._avoided / every_step
    assert spared > 0.03
    assert without - cached == pytest.approx(spared, abs=0.03)
    assert ratio_of_runs([history], costs, iterations, one, 60) == pytest.approx(cached, abs=0.03)
    for changes in ({"cache": "off"}, {"augment": True, "views": None}):
        other = dataclasses.replace(one, **changes)
        assert predicted_ratio(other, costs, examples=60) == without


@pytest.mark.usefixtures("bits_in_any_place")
def test_what_is_spared_is_predicted(whole, free):
    free(2 * 10**8)
    check_predicted(ONE, *whole)


@pytest.mark.usefixtures("bits_in_any_place")
@pytest.mark.parametrize("views", [2, 3])
def test_what_is_spared_with_views_is_predicted(small, free, views):
    free(2 * 10**8)
    viewed = dataclasses.replace(ONE, augment=True, views=views, iterations=72)
    check_predicted(viewed, *run(viewed, small))


def test_the_cache_is_a_part_of_what_a_run_is(small, free, tmp_path):
    free(2000)
    checkpoints = Checkpoints(tmp_path)
    Run(ONE, small, [CheckpointEvery(checkpoints, 1)]).advance(1)
    record = checkpoints.newest().folder / "checkpoint.json"
    text = json.loads(record.read_text())
    assert text["run"]["cache"] == 1000
    with pytest.raises(CheckpointError, match="of a run with cache 1000, not off"):
        Run(dataclasses.replace(ONE, cache="off"), small).resume(checkpoints)
    del text["run"]["cache"]  # as older checkpoints
    record.write_text(json.dumps(text))
    free(4000)
    resumed = Run(ONE, small)
    resumed.resume(checkpoints)
    assert (len(resumed.history), resumed.experiment.cache) == (1, 2000)


def test_runs_side_by_side_share_the_memory(free):
    free(6000)
    given = {"a": ONE, "b": dataclasses.replace(ONE, cache="off"), "c": ONE}
    assert [run.cache for run in settled(given).values()] == [1500, "off", 1500]
    assert settled(settled(given)) == settled(given)
    assert settled({"b": given["b"]}) == {"b": given["b"]}


@pytest.mark.parametrize(
    ("cache", "other", "same"),
    [("auto", 5, True), (5, 6.5, True), ("off", "off", True), ("off", 5, False), (None, 5, False)],
)
def test_settings_that_say_the_same(cache, other, same):
    assert alike(cache, other) == alike(other, cache) == same
