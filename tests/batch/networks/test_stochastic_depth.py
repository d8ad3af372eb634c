import keras
import numpy as np
import pytest
import tensorflow as tf

from batch import ResNet, StochasticDepth, TFModel
from batch.data.examples import Examples
from batch.flops import block_costs
from batch.networks.blocks import ResidualBlock
from batch.networks.resnet import small_resnet
from batch.networks.stochastic_depth import survival_probabilities, with_stochastic_depth
from batch.training.losses import cross_entropy
from batch.training.optimizers import FusedSGD
from batch.training.trainer import Trainer

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


class Linear(keras.layers.Layer):
    """x + 3·x, which counts how often its branch runs forward and backward."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.forward = self.backward = 0

    def branch(self, inputs, training=None):
        @tf.custom_gradient
        def tripled(values):
            def gradient(upstream):
                counted = tf.numpy_function(self._count_backward, [upstream], tf.float32)
                return 3.0 * tf.ensure_shape(counted, upstream.shape)

            counted = tf.numpy_function(self._count_forward, [values], tf.float32)
            return 3.0 * tf.ensure_shape(counted, values.shape), gradient

        return tripled(inputs)

    def _count_forward(self, values):
        self.forward += 1
        return values

    def _count_backward(self, values):
        self.backward += 1
        return values

    def shortcut(self, inputs, training=None):
        return inputs

    def activation(self, outputs):
        return outputs

    def call(self, inputs, training=None):
        return self.branch(inputs, training) + inputs


def built(**options):
    layer = StochasticDepth(Linear(), **options)
    layer.build((None, 2))
    return layer


def factors(layer, count, rows=1):
    """By what each of some training steps multiplies ones, shape (count, rows)."""
    ones = tf.ones((rows, 2))

    @tf.function
    def draw():
        steps = tf.range(count)
        return tf.map_fn(
            lambda _: layer(ones, training=True)[:, 0], steps, 1, fn_output_signature=tf.float32
        )

    return draw().numpy()


def test_linear_decay_and_uniform_rule():
    np.testing.assert_allclose(survival_probabilities(4, 0.6), [0.9, 0.8, 0.7, 0.6], rtol=1e-15)
    np.testing.assert_allclose(survival_probabilities(54)[[0, 26, 53]], [1 - 0.5 / 54, 0.75, 0.5])
    assert survival_probabilities(1, 0.25).tolist() == [0.25]
    assert survival_probabilities(3, 0.7, "uniform").tolist() == [0.7] * 3


@pytest.mark.parametrize("scale", ["inference", "train"])
@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_mean_of_training_is_inference_on_a_linear_branch(mode, scale):
    layer = built(survival=0.7, mode=mode, scale=scale, seed=3)
    draws = factors(layer, 4000) if mode == "batch" else factors(layer, 1, 4000)
    inference = layer(tf.ones((1, 2)))[0, 0].numpy()
    assert inference == pytest.approx(1 + 3 * (0.7 if scale == "inference" else 1))
    assert draws.mean() == pytest.approx(inference, rel=0.02)
    assert len(np.unique(draws)) == 2
    kept = 1 + 3 / (0.7 if scale == "train" else 1)
    np.testing.assert_allclose(np.unique(draws), [1, kept], rtol=1e-6)


@pytest.mark.parametrize("survival", [0.0, 0.25, 0.8, 1.0])
def test_drop_rates(survival):
    share = (factors(built(survival=survival, seed=1), 1000) > 1).mean()
    assert abs(share - survival) <= 3 * np.sqrt(survival * (1 - survival) / 1000)


def test_a_dropped_branch_is_computed_neither_forward_nor_backward():
    layer = built(survival=0.5, seed=5)
    block = layer.block

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        return outputs, tape.gradient(outputs, inputs)

    outputs, gradients = zip(*(step(tf.ones((2, 2))) for _ in range(60)))
    alive = np.array([output[0, 0] > 1 for output in outputs])
    assert 15 < alive.sum() < 45
    assert block.forward == block.backward == alive.sum()
    np.testing.assert_array_equal(layer.survives(range(60)), alive)
    slopes = np.array([gradient[0, 0] for gradient in gradients])
    np.testing.assert_array_equal(slopes, np.where(alive, 4, 1))


def test_sample_mode_is_dropout_of_whole_rows():
    """Keras' own Dropout with a noise shape, given the same seeds, is the oracle."""
    layer = built(survival=0.6, mode="sample", scale="train", seed=7)
    dropout = keras.layers.Dropout(0.4, noise_shape=(None, 1))
    dropout.seed_generator.next = lambda: tf.constant([7, 0])
    inputs = tf.constant(np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))
    expected = inputs + dropout(3 * inputs, training=True)
    outputs = layer(inputs, training=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    assert 0 < np.all(outputs == inputs, axis=1).sum() < 200


def test_the_seed_decides_the_draws_and_every_block_has_its_own():
    first, same, other = (factors(built(seed=seed), 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    layers = with_stochastic_depth(small_resnet((8, 8, 1), 3).layers, 0.5, seed=4)
    seeds = [layer.seed for layer in layers if isinstance(layer, StochasticDepth)]
    assert len(set(seeds)) == 4


def test_survival_falls_during_the_warm_up():
    layer = built(survival=0.6, warm_up=4)
    ones, seen = tf.ones((1, 2)), []
    for _ in range(7):
        seen.append((float(layer(ones)[0, 0]) - 1) / 3)
        layer(ones, training=True)
    np.testing.assert_allclose(seen, [1, 0.9, 0.8, 0.7, 0.6, 0.6, 0.6], rtol=1e-6)


def test_statistics_of_a_dropped_branch_do_not_move():
    block = ResidualBlock([2, 2, 3], seed=0)
    layer = StochasticDepth(block, survival=0.0)
    inputs = np.random.default_rng(0).random((4, 6, 6, 1)).astype(np.float32)
    layer.build(inputs.shape)
    branch = [weight for norm in block.normalizations for weight in norm.weights]
    before = [weight.numpy() for weight in branch]
    moving = block.projection_normalization.moving_mean.numpy()
    outputs = layer(inputs, training=True)
    assert all(np.array_equal(weight, old) for weight, old in zip(branch, before))
    assert not np.array_equal(block.projection_normalization.moving_mean, moving)
    assert np.any(outputs)


def test_unscaled_survival_1_is_the_plain_block():
    inputs = np.random.default_rng(0).random((4, 6, 6, 3)).astype(np.float32)
    plain, wrapped = ResidualBlock([2, 2, 3], seed=0), ResidualBlock([2, 2, 3], seed=0)
    layer = StochasticDepth(wrapped, survival=1.0)
    for training in (True, False):
        expected, outputs = (block(inputs, training=training) for block in (plain, layer))
        np.testing.assert_array_equal(expected, outputs)
    assert layer.name == wrapped.name


def test_a_frozen_block_is_not_dropped(blocks, examples):
    images, labels = tf.constant(examples[0]), tf.constant(examples[1], tf.int64)
    layers = with_stochastic_depth(blocks(), 0.0, "uniform")
    network = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    schedule = lambda _: np.array([0, 0, 0.1])  # noqa: E731
    trainer = Trainer(network, FusedSGD(0.1), schedule, loss=cross_entropy)
    trainer.step(Examples(images, labels, np.arange(30)))
    assert [int(layer.steps) for layer in layers[1:3]] == [0, 1]


def test_saved_and_resumed_runs_drop_what_an_uninterrupted_one_does(blocks, examples, tmp_path):
    def make():
        return TFModel(
            {
                **{"inputs": INPUTS, "network": blocks(), "learning_rate": 0.05},
                **{"survival": 0.5, "rule": "uniform", "warm_up": 3, "seed": 2},
            }
        )

    whole = make()
    losses = [whole.train(*examples) for _ in range(12)]
    first = make()
    assert [first.train(*examples) for _ in range(6)] == losses[:6]
    first.save(tmp_path / "model.zip")
    resumed = TFModel({"load": {"path": tmp_path / "model.zip"}})
    assert [resumed.train(*examples) for _ in range(6)] == losses[6:]
    np.testing.assert_array_equal(resumed.predict(examples[0]), whole.predict(examples[0]))
    resumed.reset()
    assert (resumed.iteration, int(resumed.network.layers[1].steps)) == (0, 0)
    whole.reset()
    assert [whole.train(*examples) for _ in range(12)] == losses


def test_freezing_and_dropping_together_train(blocks, examples):
    schedule = ("FreezeOut", {"iterations": 10, "learning_rate": 0.05, "t_0": 0.3, "degree": 1})
    model = TFModel({"inputs": INPUTS, "network": blocks(), "schedule": schedule, "survival": 0.5})
    frozen = []
    for _ in range(10):
        model.train(*examples)
        frozen.append(model.frozen)
    steps = [int(layer.steps) for layer in model.network.layers[1:3]]
    assert frozen[-1] == 2
    assert steps == [sum(count < 2 for count in frozen), 10]


def test_own_stochastic_blocks_stay_as_they_are(blocks):
    layers = blocks()
    layers[2] = StochasticDepth(layers[2], survival=0.3)
    wrapped = with_stochastic_depth(layers, 0.8)
    assert wrapped[2] is layers[2]
    assert wrapped[1].survival == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"survival": 1.5}, "survival must be a number from 0 to 1. Received: 1.5"),
        ({"survival": "0.5"}, "survival must be a number"),
        ({"mode": "image"}, "mode must be batch or sample. Received: 'image'"),
        ({"scale": "test"}, "scale must be inference or train. Received: 'test'"),
        ({"survival": 0, "scale": "train"}, "must be above 0"),
        ({"warm_up": -1}, "warm_up must be a whole number, 0 or more. Received: -1"),
        ({"seed": 0.5}, "seed must be"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        StochasticDepth(Linear(), **options)


def test_blocks_without_a_branch_are_refused():
    with pytest.raises(ValueError, match="methods branch, shortcut and activation"):
        StochasticDepth(keras.layers.ReLU())
    with pytest.raises(ValueError, match=r"methods branch, .* Received: None"):
        StochasticDepth(None)
    with pytest.raises(ValueError, match=r"needs residual blocks, .* Received: ReLU, Dense"):
        with_stochastic_depth([keras.layers.ReLU(), keras.layers.Dense(3)], 0.5)
    with pytest.raises(ValueError, match="rule must be linear or uniform"):
        survival_probabilities(3, 0.5, "square")


@pytest.mark.parametrize("mode", ["batch", "sample"])
def test_it_trains_in_bfloat16(examples, mode):
    model = ResNet(
        {
            **{"inputs": INPUTS, "learning_rate": 0.02, "seed": 1, "precision": "bfloat16"},
            **{"survival": 0.8, "mode": mode, "scale": "train", "warm_up": 5},
        }
    )
    block = model.network.layers[1]
    assert block.compute_dtype == block.block.compute_dtype == "bfloat16"
    assert (block.mode, block.scale, block.warm_up) == (mode, "train", 5)
    losses = [model.train(*examples) for _ in range(12)]
    assert losses[-1] < losses[0]


def test_a_block_needs_no_more_than_its_three_methods(examples):
    layers = [keras.layers.Conv2D(2, 3), Linear(), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = TFModel({"inputs": INPUTS, "network": layers, "survival": 0.5, "learning_rate": 0.01})
    losses = [model.train(*examples) for _ in range(5)]
    assert np.isfinite(losses).all()
    assert [cost.survival for cost in block_costs(model.network)] == [1, 0.5, 1, 1]
