"""Two logical devices train what one trains: `tests/devices/mirrored.py` has run both."""

import json

import keras
import numpy as np
import pytest

from batch.training.block import moved


@pytest.fixture(scope="module")
def given(mirrored):
    return json.loads((mirrored / "mirrored.json").read_text())


@pytest.mark.parametrize(
    "name",
    [
        "weights, decay, clipped",
        "accumulated",
        "microbatches",
        "counters",
        "augmented",
        "embedded",
        "views",
    ],
)
def test_devices_train_what_one_trains(given, name):
    for values in given["equal"][name].values():
        np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-6)


def test_the_cache_is_of_the_whole_batch(given):
    alone, together = given["hits"]
    assert together == alone > 0


def test_only_active_blocks_are_exchanged(given):
    freezing = given["freezing"]
    np.testing.assert_allclose(*freezing["losses"], rtol=1e-5)
    whole, less = freezing["active"]
    assert whole > less > 0
    new = [step for step in freezing["collectives"] if step]  # graphs are given when first run
    assert new == [[whole] * 2, [less] * 2]
    assert freezing["reported"] == [2 * whole + 2 * less, 2 * (whole - less)]


def test_weights_that_are_frozen_for_good_are_not_exchanged():
    norms = [keras.layers.BatchNormalization() for _ in range(2)]
    layers = [keras.layers.Dense(3), norms[0], keras.layers.Dropout(0.5), norms[1]]
    block = keras.Sequential([keras.Input((4,)), *layers])
    layers[0].trainable = norms[0].trainable = False
    assert [id(each) for each in moved(block)] == [
        id(each.value) for each in (norms[1].moving_mean, norms[1].moving_variance)
    ]
    block.trainable = False
    assert moved(block) == []


def test_normalization_is_by_replica(given):
    mean, variance, expected_mean, expected_variance = given["normalization"]
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, expected_variance, rtol=1e-4, atol=1e-6)


def test_replicas_drop_different_units(given):
    first, second = np.round(given["dropout"], 1)  # the classifier learns, and is no identity
    for step in (first, second):
        assert set(np.unique(step)) == {0.0, 2.0}
        assert (step[:8] != step[8:]).any()
    assert (first != second).any()


def test_weights_that_were_set_by_hand_reach_all_devices(given):
    alone, together = given["by_hand"]
    assert together == pytest.approx(alone, rel=1e-5)


def test_a_saved_run_goes_on_with_devices_or_without(given):
    whole = given["freezing"]["losses"][1][2:]
    alone, together = given["freezing"]["resumed"]
    assert [alone[0], together[0]] == [False, True]
    assert alone[1] == pytest.approx(whole, rel=1e-5)
    assert together[1] == whole


def test_a_schedule_sees_the_norms_of_the_whole_batch(given):
    alone, together = given["watched"]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
    assert together[-1][0] == 0


def test_what_replicas_cannot_do_is_refused(given):
    refused = given["refusals"]
    sentences = {
        "sample": "mode of stochastic depth must be batch",
        "synchronized": "synchronized must be False",
        "few": "A batch must have an example for each of the 2 replicas or more. Received: 1",
        "export": "A static graph is for a single device",
    }
    for name, sentence in sentences.items():
        assert sentence in refused[name]
    assert refused["iteration"] == 0


def test_fit_trains_on_all_devices_of_the_scope(given):
    alone, together = given["block_model"]["logs"]
    assert alone.keys() == together.keys() > {"right", "accuracy", "val_loss", "frozen"}
    for name, values in alone.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-4, err_msg=name)
    summed, in_scope = given["block_model"]["refused"]
    assert "reduction is a mean" in summed
    assert "must be called outside of the strategy's scope" in in_scope
