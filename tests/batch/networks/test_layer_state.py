"""A copy is equal to its original, whatever state the layers have and however it is made."""

import keras
import numpy as np
import pytest

from batch import FadeIn, TFModel
from batch.networks.blocks import ResidualBlock
from batch.networks.copies import copied
from batch.networks.stochastic_depth import StochasticDepth

L = keras.layers
ROWS = np.random.default_rng(0).integers(0, 200, (40, 6)).astype(np.float32)
LABELS = np.arange(40) % 3
CONFIG = {"inputs": {"rows": {"shape": (6,), "classes": 3}}, "learning_rate": 1e-3}


def shifted(inputs):
    return inputs / 100 - 1


def penalized(inputs):
    return 0.1 * keras.ops.sum(inputs**2)


class Offset(L.Layer):
    """A layer that Keras does not know, with state that it saves itself, in both of the ways."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset, self.names = scale, 0.0, ()

    def call(self, inputs):
        return self.scale * inputs + self.offset + len(self.names)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}

    def save_own_variables(self, store):
        store["offset"] = np.array(self.offset)

    def load_own_variables(self, store):
        self.offset = float(np.array(store["offset"]))

    def save_assets(self, folder):
        with open(f"{folder}/names", "w", encoding="utf-8") as file:
            file.write("\n".join(self.names))

    def load_assets(self, folder):
        with open(f"{folder}/names", encoding="utf-8") as file:
            self.names = tuple(file.read().splitlines())


class Noisy(L.Layer):
    """It draws in inference mode too."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator()

    def call(self, inputs):
        return inputs + keras.random.normal((6,), dtype=inputs.dtype, seed=self.generator)


def adapted(layer):
    layer.adapt(ROWS)
    return layer


def built(layer, shape=(None, 6)):
    """The layer with weights as training might leave them."""
    if not layer.built:
        layer.build(shape)
    for weight in layer.weights:
        if weight.dtype == "float32":
            weight.assign(np.random.default_rng(1).uniform(0.5, 1.5, weight.shape))
    return layer


def with_lora(layer):
    built(layer).enable_lora(2, lora_alpha=8)
    return built(layer)


def quantized(layer):
    built(layer).quantize("int8")
    return layer


def block(*layers):
    return keras.Sequential([keras.Input((6,)), *layers], name="block")


def own():
    offset = built(Offset(2.0, name="offset"))
    offset.offset, offset.names = 5.0, ("a", "b")
    return offset


def partly_frozen():
    layers = block(built(L.Dense(6, name="a")), built(L.BatchNormalization(name="norm")))
    layers.layers[0].trainable = False
    return layers


def frozen_weight():
    dense = built(L.Dense(5))
    dense.kernel.trainable = False
    return dense


def warming_up():
    depth = StochasticDepth(ResidualBlock([2, 1]), 0.5, warm_up=10)
    layers = block(L.Reshape((6, 1, 1)), depth, L.Flatten())
    for weight in depth.block.weights:
        weight.assign(weight + 0.5)
    depth.steps.assign(7)
    return layers


LAYERS = {
    "adapted": lambda: adapted(L.Normalization()),
    "adapted inside": lambda: block(adapted(L.Normalization()), built(L.Dense(6))),
    "built inside": lambda: FadeIn(L.Dense(6), 5, old=block(adapted(L.Normalization()))),
    "mean given": lambda: L.Normalization(mean=100.0, variance=400.0),
    "bins": lambda: adapted(L.Discretization(num_bins=9)),
    "bins counted": lambda: block(adapted(L.Discretization(num_bins=9, output_mode="count"))),
    "vocabulary": lambda: adapted(L.IntegerLookup(output_mode="multi_hot")),
    "weighted vocabulary": lambda: block(adapted(L.IntegerLookup(output_mode="tf_idf"))),
    "statistics": lambda: built(L.BatchNormalization(momentum=0.5)),
    "spectral": lambda: built(L.SpectralNormalization(L.Dense(5))),
    "LoRA": lambda: with_lora(L.Dense(5, activation="relu")),
    "LoRA of words": lambda: block(with_lora(L.Embedding(256, 4)), L.GlobalAveragePooling1D()),
    "LoRA inside": lambda: block(with_lora(L.EinsumDense("ab,bc->ac", 5))),
    "int8": lambda: quantized(L.Dense(5)),
    "int8 and LoRA": lambda: with_lora(quantized(L.Dense(5))),
    "penalties": lambda: built(L.Dense(5, kernel_regularizer=penalized, bias_constraint="non_neg")),
    "own function": lambda: built(L.Dense(5, activation=shifted)),
    "named function": lambda: L.Lambda(shifted),
    "own class": own,
    "own class inside": lambda: block(own(), built(L.Dense(3))),
    "noise": lambda: block(built(L.Dense(6)), L.GaussianNoise(1.0), L.Dropout(0.5)),
    "noise always": lambda: built(Noisy()),
    "recurrent": lambda: block(L.Reshape((3, 2)), L.SimpleRNN(4, dropout=0.5)),
    "wrapped": lambda: block(L.Reshape((3, 2)), L.TimeDistributed(L.Dense(4)), L.Flatten()),
    "partly frozen": partly_frozen,
    "frozen weight": frozen_weight,
    "bfloat16": lambda: built(L.Dense(5, dtype="mixed_bfloat16")),
    "float16 inside": lambda: block(built(L.Dense(5, dtype="float16")), L.ReLU()),
    "warming up": warming_up,
}

GOING_ON = ("LoRA", "noise", "statistics", "frozen weight", "adapted")  # trained on after loading


def network_of(kind):
    keras.utils.set_random_seed(1)
    layers = [LAYERS[kind](), L.Flatten(), L.Dense(3, name="head")]
    return keras.Sequential([keras.Input((6,)), *layers])


def values(blocks):
    """What some blocks compute in a row, by Keras itself, with all seeds at zero."""
    outputs = ROWS
    for layer in blocks:
        weights = {id(weight) for weight in layer.weights}
        for variable in layer.variables:
            if id(variable) not in weights:
                variable.assign([0, 0])
        outputs = layer(outputs)
    return np.asarray(keras.ops.cast(outputs, "float32"))


def state(blocks, names=True):
    """All that Keras itself tells of blocks, and of all within them."""
    parts = [part for layer in blocks for part in layer._flatten_layers()]
    return [
        [
            *(part.name if names else None, part.trainable, part.dtype_policy.name),
            getattr(part, "lora_alpha", None),
            *((weight.name, weight.trainable, weight.numpy().tolist()) for weight in part.weights),
        ]
        for part in parts
    ]


@pytest.mark.parametrize("kind", LAYERS)
def test_every_copy_computes_what_the_original_does(kind, tmp_path):
    network = network_of(kind)
    expected, before = values(network.layers), state(network.layers)
    for layers in (network.layers, copied(network.layers, (6,)).layers):  # and a copy of a copy
        copy = copied(layers, (6,)).layers
        np.testing.assert_array_equal(values(copy), expected)
        assert state(copy) == before
    model = TFModel({**CONFIG, "network": network})
    model.train(ROWS, LABELS)
    model.save(tmp_path / "model")
    loaded = TFModel({**CONFIG, "network": network, "load": {"path": tmp_path / "model"}})
    np.testing.assert_array_equal(values(loaded.network.layers), values(model.network.layers))
    # Keras' files hold the names of layers within other models only.
    assert state(loaded.network.layers, False) == state(model.network.layers, False)
    if kind in GOING_ON:
        assert loaded.train(ROWS, LABELS) == model.train(ROWS, LABELS)
    model.reset()
    np.testing.assert_array_equal(values(model.network.layers), expected)
    assert state(network.layers) == before  # the user's own are left alone


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if "int8" not in kind])
def test_in_bfloat16_it_is_nearly_the_same(kind):
    network = network_of(kind)
    copy = copied(network.layers, (6,), precision="bfloat16")
    expected = values(network.layers)
    off = np.linalg.norm(values(copy.layers) - expected) / np.linalg.norm(expected)
    assert off < 0.05


@pytest.mark.parametrize("kind", ["adapted", "vocabulary", "LoRA", "own class inside"])
def test_a_base_keeps_it_too(kind):
    network = network_of(kind)
    model = TFModel({**CONFIG, "base": network})
    np.testing.assert_array_equal(values(model.network.layers[:-1]), values(network.layers[:-1]))
    if kind == "LoRA":  # all can learn, but what LoRA holds
        assert [weight.name for weight in model.network.layers[0].trainable_weights] == [
            *("bias", "lora_kernel_a", "lora_kernel_b")
        ]


@pytest.mark.parametrize("change", [with_lora, quantized])
def test_a_new_classifier_learns_with_all_its_weights(change):
    head = change(L.Dense(4, kernel_regularizer=penalized, name="head"))
    model = TFModel({**CONFIG, "base": [L.Flatten(), head]})
    assert [weight.name for weight in model.network.trainable_weights] == ["kernel", "bias"]


def test_under_lora_the_large_weight_stays_frozen_whatever_is_frozen_by_name():
    model = TFModel({**CONFIG, "network": network_of("LoRA"), "freeze": ["head"]})
    layer = model.network.layers[0]
    before = [weight.numpy() for weight in (layer._kernel, layer.lora_kernel_a)]
    model.train(ROWS, LABELS)
    np.testing.assert_array_equal(layer._kernel.numpy(), before[0])
    assert np.any(layer.lora_kernel_a.numpy() != before[1])


def one_in_two():
    dense = L.Dense(6, name="tied")
    return [block(dense), keras.Sequential([dense], name="second"), L.Dense(3)]


def one_in_two_not_built():
    dense = L.Dense(6, name="tied")
    return [keras.Sequential([dense], name=name) for name in "ab"] + [L.Dense(3)]


def one_in_a_sequential():
    return keras.Sequential([keras.Input((6,)), *one_in_two()])


class Borrowing(L.Layer):
    """A layer with the weight of another."""

    def __init__(self, kernel=None, **kwargs):
        super().__init__(**kwargs)
        self.kernel = self.add_weight(shape=(6, 6)) if kernel is None else kernel

    def call(self, inputs):
        return inputs @ self.kernel

    def get_config(self):
        return keras.layers.Layer.get_config(self)


def one_weight():
    dense = built(L.Dense(6, name="lender"))
    return [dense, Borrowing(dense.kernel, name="tied"), L.Dense(3)]


def one_twice_in_a_block():
    dense = built(L.Dense(6, name="tied"))
    return [FadeIn(dense, 5, old=dense), L.Dense(3)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_in_two, "tied is used in several blocks, and blocks share no weights: let one"),
        (one_in_two_not_built, "tied is used in several blocks"),
        (one_in_a_sequential, "tied is used in several blocks"),
        (one_weight, "tied is used in several blocks"),
        (one_twice_in_a_block, "tied can't be copied: its config makes 2 layers within it, .* 1"),
        (lambda: [L.ReLU(name="a")] * 2 + [L.Dense(3)], "a is given as several blocks"),
        (lambda: [L.Dense(4, name="a"), L.Dense(3, name="a")], "Two blocks are called a: give"),
    ],
)
def test_what_several_blocks_have_in_common_is_refused_by_name(make, message):
    for key in ("network", "base"):
        with pytest.raises(ValueError, match=message):
            TFModel({**CONFIG, key: make()})


def test_what_a_block_uses_twice_stays_one():
    inputs = keras.Input((6,))
    dense = L.Dense(6)
    twice = keras.Model(inputs, dense(dense(inputs)))
    copy = copied([twice, L.Dense(3)], (6,)).layers[0]
    assert len(copy.weights) == 2
    np.testing.assert_array_equal(copy(ROWS), twice(ROWS))
