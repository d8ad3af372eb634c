import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import Constant, FreezeOut, ResNet, TrainingError
from batch.data.examples import Examples
from batch.training.losses import cross_entropy
from batch.training.optimizers import FusedSGD
from batch.training.preprocessing import Preprocessing
from batch.training.trainer import Trainer
from research.benchmarks.graphs import executed_operations
from utils import load_data

CONVOLUTIONS = [1, 3, 2, 0]  # of the blocks of the `blocks` fixture


class Fixed:
    """Rates set by hand."""

    def __init__(self, *rates):
        self.rates = np.array(rates, dtype=float)

    def __call__(self, iteration):
        return self.rates


@pytest.fixture
def make(blocks):
    def make_trainer(schedule, optimizer=None, loss=cross_entropy, preprocessing=None):
        network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
        optimizer = optimizer or FusedSGD(0.05, momentum=0.9, nesterov=True)
        options = {"loss": loss, "preprocessing": preprocessing, "cache": "off"}
        return Trainer(network, optimizer, schedule, **options)

    return make_trainer


def state(trainer, block):
    """Weights, statistics and slots of a block."""
    weights = [weight.numpy() for weight in trainer.network.layers[block].weights]
    return weights + [slot.numpy() for slot in trainer.optimizers[block].variables]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_unfrozen_step_equals_a_plain_tape_and_keras_sgd(make, blocks, placed):
    images, labels, rows = placed.images, placed.labels, placed.rows
    ours = make(Constant(3, 0.05))
    plain = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    inputs = tf.cast(tf.gather(images, rows), tf.float32) / 255
    for _ in range(3):
        with tf.GradientTape() as tape:
            logits = plain(inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, rows), logits)
            loss = tf.reduce_mean(losses)
        variables = [variable.value for variable in plain.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), plain.trainable_variables)
        assert ours.step(placed)[0] == pytest.approx(float(loss), abs=1e-6)
        for mine, theirs in zip(ours.network.weights, plain.weights):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_executed_step_has_the_active_blocks_filter_gradients_only(make, placed):
    trainer = make(Fixed(0.01, 0.01, 0.01))
    # Within an active block gradients flow on; the first one's input gets none.
    for frozen, inner in enumerate((0 + 3 + 2, 1 + 2, 1, 0)):
        trainer.schedule.rates = np.where(np.arange(3) < frozen, 0, 0.01)
        operations = executed_operations(lambda: trainer.step(placed))
        assert operations["Conv2DBackpropFilter"] == sum(CONVOLUTIONS[frozen:]) * (frozen < 3)
        assert operations["Conv2DBackpropInput"] == inner
        assert trainer.frozen == frozen


def test_a_frozen_block_in_the_middle_passes_gradients_on_but_gets_none(make, placed):
    trainer = make(Fixed(0.01, 0, 0.01))
    before = [state(trainer, block) for block in range(4)]
    operations = executed_operations(lambda: trainer.step(placed))
    assert operations["Conv2DBackpropFilter"] == 1 + 2
    assert operations["Conv2DBackpropInput"] == 3 + 2
    changed = [not same(state(trainer, block), before[block]) for block in range(4)]
    assert changed == [True, False, True, True]
    assert trainer.frozen == 0


def test_frozen_blocks_are_bitwise_the_same_50_steps_later(make, placed):
    schedule = Fixed(0.01, 0.01, 0.01)
    trainer = make(schedule)
    for _ in range(3):
        trainer.step(placed)  # momentum that could move them
    schedule.rates = np.array([0, 0, 0.01])
    before = [state(trainer, block) for block in range(4)]
    for _ in range(50):
        trainer.step(placed)
    unchanged = [same(state(trainer, block), before[block]) for block in range(4)]
    assert unchanged == [True, True, False, False]


def test_with_everything_frozen_a_step_only_evaluates(make, placed):
    trainer = make(Fixed(0, 0, 0))
    before = [state(trainer, block) for block in range(4)]
    losses = [trainer.step(placed)[0] for _ in range(2)]
    assert losses[0] == losses[1]
    assert all(same(state(trainer, block), before[block]) for block in range(4))
    assert trainer.frozen == 3
    assert trainer.iteration == 2


def test_a_schedule_may_give_the_classifier_a_rate_of_its_own(make, placed):
    trainer = make(Fixed(0, 0, 0, 0.1))
    before = [state(trainer, block) for block in range(4)]
    trainer.step(placed)
    moved = [not same(state(trainer, block), before[block]) for block in range(4)]
    assert (moved, trainer.frozen) == ([False, False, False, True], 3)
    assert trainer.rates.tolist() == [0, 0, 0, 0.1]
    trainer.schedule = Fixed(0.1, 0.1, 0.1, 0)
    still = state(trainer, 3)
    trainer.step(placed)
    assert same(state(trainer, 3), still)
    assert not same(state(trainer, 2), before[2])


def test_unfreezing_goes_on_with_the_same_slots(make, placed):
    schedule = Fixed(0.01, 0.01, 0.01)
    trainer = make(schedule)
    trainer.step(placed)
    schedule.rates = np.array([0, 0.01, 0.01])
    trainer.step(placed)
    momentum = trainer.optimizers[0].momentums[0].numpy()
    weight = trainer.network.layers[0].trainable_variables[0].numpy()
    assert np.any(momentum)
    schedule.rates = np.array([1e-12, 0.01, 0.01])  # what is left to move it is its momentum
    trainer.step(placed)
    moved = trainer.network.layers[0].trainable_variables[0].numpy() - weight
    np.testing.assert_allclose(moved, 0.9 * 0.9 * momentum, rtol=1e-2, atol=1e-6)
    assert int(trainer.optimizers[0].iterations) == 2


def test_loss_does_not_jump_when_a_block_freezes():
    data = load_data("digits")
    model = ResNet(
        {
            "inputs": {"images": {"shape": (28, 28, 1), "classes": 10}},
            "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True}),
            "schedule": (
                "FreezeOut",
                {"iterations": 50, "learning_rate": 0.06, "t_0": 0.6, "degree": 1, "scaled": False},
            ),
        }
    )
    rng = np.random.default_rng(0)
    losses, frozen = [], []
    for _ in range(50):
        rows = rng.permutation(len(data.train.labels))[:100]
        losses.append(model.train(data.train.images, data.train.labels, rows=rows))
        frozen.append(model.frozen)
    changes = np.flatnonzero(np.diff(frozen)) + 1
    assert frozen[-1] == 4
    assert len(changes) == 4
    moves = np.abs(np.diff(losses))
    for change in changes:
        near = np.delete(moves[change - 8 : change + 7], 7)
        assert moves[change - 1] <= 1.5 * near.max()


@pytest.mark.parametrize("optimizer", ["Adam", "RMSprop", "Lion"])
def test_any_keras_optimizer_trains(make, placed, optimizer):
    trainer = make(Constant(3, 0.003), getattr(keras.optimizers, optimizer)())
    losses = [trainer.step(placed)[0] for _ in range(15)]
    assert losses[-1] < losses[0]
    assert float(trainer.optimizers[0].learning_rate) == pytest.approx(0.003)


def test_images_are_scaled_by_their_type(make, examples):
    images, labels = examples
    labels = tf.constant(labels, tf.int64)
    rows = np.arange(30)
    bytes_, scaled = tf.constant(images), tf.constant((images / 255).astype(np.float32))
    losses = [
        make(Constant(3, 0.01)).step(Examples(given, labels, rows))[0] for given in (bytes_, scaled)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_equal_runs_have_equal_bits(make, placed):
    schedule = FreezeOut(3, 6, 0.05, t_0=0.5, degree=1)
    runs = []
    for _ in range(2):
        trainer = make(schedule)
        runs.append([trainer.step(placed)[0] for _ in range(6)])
    assert runs[0] == runs[1]


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(make, placed):
    schedule = Fixed(0.01, 0.02, 0.03)
    trainer = make(schedule)
    last, _ = trainer.step(placed)
    trainer.network.layers[-1].dense.bias.assign([np.inf, 0, 0])
    with pytest.raises(TrainingError) as caught:
        trainer.step(placed)
    message = str(caught.value)
    assert "at iteration 1" in message
    assert "[0.01 0.02 0.03]" in message
    assert str(last) in message
    assert trainer.iteration == 1


@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.1, -0.1, 0.1), (0.1, np.nan, 0.1)])
def test_schedules_that_give_no_rates_are_refused(make, placed, rates):
    with pytest.raises(ValueError, match="must give 3 finite rates of 0 or more"):
        make(Fixed(*rates)).step(placed)


def test_a_step_is_compiled_once_for_each_set_of_active_blocks(make, placed):
    schedule = Fixed(0.01, 0.01, 0.01)
    trainer = make(schedule)
    for rates in ([0.1, 0.1, 0.1], [0.2, 0.3, 0.1], [0, 0.1, 0.1], [0, 0.3, 0.1], [0.1, 0.1, 0.1]):
        schedule.rates = np.array(rates)
        trainer.step(placed)
        trainer.step(dataclasses.replace(placed, rows=np.arange(17)))
    assert len(trainer.steps) == 2


def test_global_clipnorm_is_the_norm_over_all_active_blocks(make, blocks, placed):
    images, labels, rows = placed.images, placed.labels, placed.rows
    plain = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    inputs = tf.cast(tf.gather(images, rows), tf.float32) / 255
    for rates in ((1.0, 1.0, 1.0), (0.0, 1.0, 1.0)):
        trainer = make(Fixed(*rates), FusedSGD(1.0, global_clipnorm=0.01))
        before = [variable.numpy() for variable in trainer.network.trainable_variables]
        trainer.step(placed)
        after = [variable.numpy() for variable in trainer.network.trainable_variables]
        moved = np.sqrt(sum(np.sum((first - second) ** 2) for first, second in zip(before, after)))
        assert moved == pytest.approx(0.01, rel=1e-3)
    with tf.GradientTape() as tape:
        logits = plain(inputs, training=True)
        loss = tf.reduce_mean(cross_entropy(tf.gather(labels, rows), logits))
    variables = [variable.value for variable in plain.trainable_variables]
    clipped, norm = tf.clip_by_global_norm(tape.gradient(loss, variables), 0.01)
    assert norm > 0.02
    trainer = make(Constant(3, 1.0), FusedSGD(1.0, global_clipnorm=0.01))
    trainer.step(placed)
    for variable, ours, gradient in zip(variables, trainer.network.trainable_variables, clipped):
        np.testing.assert_allclose(variable - gradient, ours, rtol=1e-5, atol=1e-6)


def test_a_schedule_that_can_go_anywhere_is_not_planned(make, placed):
    trainer = make(Fixed(0.1, 0.1, 0.1))
    trainer.step(placed)
    assert trainer.plan.groups == []


def test_weight_decay_adds_to_the_gradients_of_active_blocks(blocks, placed):
    def trained(weight_decay, rates=(1.0, 1.0, 1.0)):
        network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
        start = [variable.numpy() for variable in network.trainable_variables]
        options = {"loss": cross_entropy, "weight_decay": weight_decay}
        trainer = Trainer(network, FusedSGD(1.0), Fixed(*rates), **options)
        loss, _ = trainer.step(placed)
        return loss, start, [variable.numpy() for variable in network.trainable_variables]

    loss, start, plain = trained(0.0)
    decayed_loss, _, decayed = trained(0.01)
    assert loss == decayed_loss
    for weight, without, with_decay in zip(start, plain, decayed):
        np.testing.assert_allclose(without - 0.01 * weight, with_decay, atol=1e-6)
    _, start, frozen = trained(0.01, (0.0, 1.0, 1.0))
    changed = [not np.array_equal(*pair) for pair in zip(start, frozen)]
    assert changed == [False] * 3 + [True] * (len(changed) - 3)


def test_images_are_augmented_by_iteration(make, examples):
    images, labels = examples
    images, labels = tf.constant(images), tf.constant(labels, tf.int64)
    # All frozen: the same weights in every step.
    trainer = make(Fixed(0, 0, 0), preprocessing=Preprocessing(pad=2, flip=True, seed=1))
    losses = [trainer.step(Examples(images, labels, np.arange(30)))[0] for _ in range(2)]
    assert losses[0] != losses[1]
    trainer.iteration = 0
    assert trainer.step(Examples(images, labels, np.arange(30)))[0] == losses[0]


def test_calls_do_not_go_through_tensorflows_error_path(make, placed, monkeypatch):
    concrete = type(tf.function(lambda: 1.0).get_concrete_function())
    monkeypatch.setattr(concrete, "_call_with_flat_signature", None)
    trainer = make(Constant(3, 0.05))
    trainer.step(placed)
    trainer.step(dataclasses.replace(placed, weights=np.ones(30)))
