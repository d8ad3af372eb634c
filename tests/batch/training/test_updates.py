import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import AutoFreeze, Constant, FreezeOut
from batch.data.examples import Examples
from batch.training.losses import cross_entropy
from batch.training.optimizers import FusedSGD
from batch.training.trainer import Trainer

RATE, DECAY = 0.5, 0.1


class Until:
    """Freezes the first block from one iteration up to another."""

    def __init__(self, start, stop=np.inf, known=True):
        self.start, self.stop = start, stop
        if known:
            self.last_iterations = [start]

    def __call__(self, iteration):
        frozen = self.start <= iteration < self.stop
        return np.array([0.0 if frozen else RATE, RATE])


def dense(*between):
    """A network of two blocks of dense layers, and a classifier."""
    kernels = [keras.initializers.HeNormal(seed=seed) for seed in range(3)]
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, "tanh", name="first", kernel_initializer=kernels[0]),
            *between,
            keras.layers.Dense(5, "tanh", name="second", kernel_initializer=kernels[1]),
            keras.layers.Dense(3, name="logits", kernel_initializer=kernels[2]),
        ]
    )


@pytest.fixture(scope="module")
def batches():
    """16 vectors for each of 8 steps."""
    rng = np.random.default_rng(0)
    return [
        Examples(
            tf.constant(rng.normal(size=(16, 6)), tf.float32),
            tf.constant(rng.integers(0, 3, 16)),
            np.arange(16),
        )
        for _ in range(8)
    ]


def make(schedule, network=None, weight_decay=0.0, **settings):
    options = {"loss": cross_entropy, "cache": "off", "weight_decay": weight_decay}
    return Trainer(network or dense(), FusedSGD(RATE, **settings), schedule, **options)


def by_hand(batches, schedule, steps, clipnorm=None, decay=0.0):
    """Weights after SGD on the means of the gradients that each block has accumulated."""
    network = dense()
    weights = [[variable.numpy() for variable in layer.weights] for layer in network.layers]
    held, counts = [0, 0, 0], [0, 0, 0]
    for at, examples in enumerate(batches):
        network.set_weights([array for of_block in weights for array in of_block])
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(cross_entropy(examples.labels, network(examples.images)))
        values = [variable.value for variable in network.trainable_variables]
        gradients = [gradient.numpy() for gradient in tape.gradient(loss, values)]
        rates, following = ([*schedule(now), RATE] for now in (at, at + 1))
        active = [block for block in range(3) if rates[block]]
        for block in active:
            kernel_and_bias = np.empty(2, object)
            kernel_and_bias[:] = gradients[2 * block : 2 * block + 2]
            held[block], counts[block] = held[block] + kernel_and_bias, counts[block] + 1
        means = {block: held[block] / counts[block] for block in active}
        norm = np.sqrt(sum((array**2).sum() for mean in means.values() for array in mean))
        scale = min(1.0, clipnorm / norm) if clipnorm else 1.0
        for block in active:
            if counts[block] == steps or not following[block]:
                weights[block] = [
                    weight - RATE * (scale * gradient + decay * weight)
                    for weight, gradient in zip(weights[block], means[block])
                ]
                held[block], counts[block] = 0, 0
    return [array for of_block in weights for array in of_block]


@pytest.mark.parametrize(
    ("schedule", "steps", "settings"),
    [
        (Until(3), 2, {}),
        (Until(2), 4, {"global_clipnorm": 0.2, "loss_scale_factor": 64.0}),
        (Until(5, 6), 4, {"global_clipnorm": 0.2, "weight_decay": DECAY}),
        (Until(5), 3, {"weight_decay": DECAY}),
        (Until(4), 2, {"global_clipnorm": 0.2}),
    ],
)
def test_what_a_block_has_accumulated_is_applied_in_its_last_step(
    batches, schedule, steps, settings
):
    trainer = make(schedule, gradient_accumulation_steps=steps, **settings)
    for examples in batches:
        trainer.step(examples)
    expected = by_hand(
        *(batches, schedule, steps),
        clipnorm=settings.get("global_clipnorm"),
        decay=settings.get("weight_decay", 0.0),
    )
    for ours, theirs in zip(trainer.network.get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_step_that_stages_share_accumulates_too(batches):
    weights = []
    for groups in ([], [(0, 1)]):
        trainer = make(Until(3), gradient_accumulation_steps=2, global_clipnorm=0.2)
        trainer.plan.groups = groups
        for examples in batches:
            trainer.step(examples)
        weights.append(trainer.network.get_weights())
    for own, shared in zip(*weights):
        np.testing.assert_allclose(own, shared, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "schedule", [AutoFreeze(2, 8, 0.1), Until(3, known=False), lambda iteration: np.ones(2)]
)
def test_accumulation_needs_to_know_a_blocks_last_step(schedule):
    with pytest.raises(ValueError, match="gradient_accumulation_steps needs a schedule that says"):
        make(schedule, gradient_accumulation_steps=2)
    trainer = make(FreezeOut(2, 8, 0.1), gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="gradient_accumulation_steps needs a schedule that says"):
        trainer.schedule = schedule


def test_a_schedule_may_not_be_exchanged_for_one_that_would_lose_gradients(batches):
    trainer = make(Constant(2, RATE), gradient_accumulation_steps=2)
    trainer.step(batches[0])
    trainer.schedule = Until(0)
    with pytest.raises(ValueError, match=r"block first at iteration 1.* gradients of 1 steps"):
        trainer.step(batches[1])
    assert trainer.iteration == 1


class Stop(keras.layers.Layer):
    """Lets no gradient through."""

    def call(self, inputs):
        return keras.ops.stop_gradient(inputs)


@pytest.mark.parametrize("settings", [{}, {"weight_decay": DECAY, "global_clipnorm": 1.0}])
def test_weights_without_a_gradient_are_named_and_stay(batches, caplog, settings):
    trainer = make(Constant(3, RATE), dense(Stop(name="stop")), momentum=0.9, **settings)
    before = trainer.network.get_weights()
    trainer.step(batches[0])
    trainer.step(batches[1])
    assert len(caplog.records) == 1
    assert "first/kernel of block first, " in caplog.text
    moved = [
        not np.array_equal(*pair)
        for pair in zip(before, trainer.network.get_weights(), strict=True)
    ]
    assert moved == [False, False, True, True, True, True]


def test_a_loss_that_no_weight_changes_is_refused_before_anything_does(batches):
    network = keras.Sequential([*dense().layers[:2], keras.layers.Dense(3), Stop()])
    network.build((None, 6))
    trainer = make(Constant(3, RATE), network)
    before = network.get_weights()
    with pytest.raises(ValueError, match=r"No weight gets a gradient.*kernel of block first"):
        trainer.step(batches[0])
    assert all(np.array_equal(*pair) for pair in zip(before, network.get_weights()))
    assert trainer.iteration == 0
