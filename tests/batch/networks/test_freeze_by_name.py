import keras
import numpy as np
import pytest

from batch import DenseNet, FadeIn, ResNet, TFModel, openset
from batch.networks.freeze_by_name import freeze_layers, layer_names, learning, matching
from batch.networks.stochastic_depth import with_stochastic_depth
from research.benchmarks.graphs import executed_operations

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
SIZES = [1, 3, 2, 0]  # convolutions of the blocks


@pytest.fixture
def make(blocks):
    def make_model(**config):
        layers = blocks()
        for layer, name in zip(layers, ("stem", "block0", "block1", "classifier")):
            layer.name = name
        rate = {} if "schedule" in config else {"learning_rate": 0.05}
        return TFModel({"inputs": INPUTS, "network": layers, **rate, **config})

    return make_model


def weights(layer):
    return [weight.numpy() for weight in layer.weights]


def moved(model, steps, examples):
    """Names of the layers of which a weight or statistic moves in some steps."""
    named = {}
    for block in model.network.layers:
        named |= layer_names(block) or {block.name: block}
    before = {name: weights(layer) for name, layer in named.items()}
    for _ in range(steps):
        model.train(*examples)
    return {
        name
        for name, layer in named.items()
        if any(not np.array_equal(*pair) for pair in zip(before[name], weights(layer)))
    }


@pytest.mark.parametrize(
    ("patterns", "frozen", "leading"),
    [
        (["stem"], [0], 1),
        (["stem", "block[0-1]"], [0, 1, 2], 3),
        (["block0"], [1], 0),
        ("stem|block1", [0, 2], 1),
        (["classifier"], [3], 0),
        (["block1", "classifier"], [2, 3], 0),
        ([".*"], [0, 1, 2, 3], 3),
        ([], [], 0),
    ],
)
def test_what_is_frozen_has_no_gradient_no_slot_and_no_move(
    make, examples, patterns, frozen, leading
):
    model = make(freeze=patterns, optimizer=("SGD", {"momentum": 0.9}))
    operations = executed_operations(lambda: model.train(*examples))
    active = [block for block in range(4) if block not in frozen]
    assert operations["Conv2DBackpropFilter"] == sum(SIZES[block] for block in active)
    first = min(active, default=None)
    below = {None: 0, 0: 3 + 2, 1: 1 + 2, 2: 1, 3: 0}[first]  # the first needs none for its input
    assert operations["Conv2DBackpropInput"] == below
    assert model.frozen == leading
    names = moved(model, 3, examples)
    assert {name.split("/")[0] for name in names} == {
        model.network.layers[block].name for block in active
    }
    slots = [len(optimizer.variables) for optimizer in model.trainer.optimizers]
    assert [slots[block] for block in frozen] == [2] * len(frozen)  # iterations and rate alone


def test_layers_in_a_block_freeze_and_the_rest_of_it_learns(make, examples):
    patterns = ["block0/convolutions/1", "block1/normalizations/.*", "stem/normalization"]
    model = make(freeze=patterns)
    operations = executed_operations(lambda: model.train(*examples))
    assert operations["Conv2DBackpropFilter"] == 1 + 2 + 2
    everything = {name for block in model.network.layers for name in layer_names(block)}
    names = moved(model, 3, examples)
    assert everything - names == {
        "stem/normalization",
        "block0/convolutions/1",
        *(f"block1/normalizations/{place}" for place in range(2)),
    }
    assert model.frozen == 0


def test_a_block_all_of_whose_layers_are_frozen_is_frozen(make, examples):
    model = make(freeze=["stem/.*", "block0/.*"])
    assert model.trainer.plan.learns == [False, False, True, True]
    model.train(*examples)
    assert model.frozen == 2


def test_names_reach_through_stochastic_depth_and_into_keras_models(blocks):
    stem, block, *_ = blocks()
    network = keras.Sequential([keras.Input((8, 8, 1)), stem, block])
    plain = list(layer_names(network.layers[1]))
    (wrapped,) = with_stochastic_depth([block], 0.5)
    assert list(layer_names(wrapped)) == plain
    dense = keras.layers.Dense(2, name="head")
    inner = keras.Sequential([keras.Input((3,)), dense, keras.layers.ReLU()], name="two")
    assert layer_names(inner) == {"two/head": dense}


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("block7", "freeze: 'block7' matches nothing. Expected: stem, block0, block1, classifier"),
        (["stem", "block"], "'block' matches nothing"),
        (["block0/convolution"], "or a layer in them, as stem/convolution"),
        (["block["], r"must be regular expressions. Received: 'block\['"),
        ([3], "must be regular expressions. Received: 3"),
        (True, "must be a list of regular expressions. Received: True"),
        ("", "'' matches nothing"),
    ],
)
def test_patterns_that_match_nothing_are_refused(make, patterns, message):
    with pytest.raises(ValueError, match=message):
        make(freeze=patterns)
    with pytest.raises(ValueError, match="inference_mode"):
        matching(patterns, ["stem", "other"], "inference_mode")


def test_the_first_block_that_learns_is_where_gradients_stop_whatever_the_schedule(make, examples):
    schedule = ("FreezeOut", {"iterations": 9, "learning_rate": 0.05, "t_0": 0.34, "degree": 1})
    model = make(freeze=["block0"], schedule=schedule)
    frozen = []
    for _ in range(9):
        model.train(*examples)
        frozen.append(model.frozen)
    assert frozen == [0, 0, 0, 0, 2, 2, 2, 2, 2]


def test_frozen_layers_stay_so_when_saved_and_loaded(make, examples, tmp_path):
    model = make(freeze=["stem", "block0/normalizations/.*"], optimizer=("SGD", {"momentum": 0.9}))
    for _ in range(3):
        model.train(*examples)
    model.save(tmp_path / "model")
    loaded = TFModel({"load": {"path": tmp_path / "model"}})
    assert loaded.frozen == 1
    losses = [[trained.train(*examples) for _ in range(3)] for trained in (model, loaded)]
    assert losses[0] == losses[1]
    assert moved(loaded, 2, examples) == moved(model, 2, examples)


def test_another_set_may_be_frozen_when_a_model_is_loaded(make, examples, tmp_path):
    model = make(freeze=["stem", "block0"], optimizer=("SGD", {"momentum": 0.9}))
    for _ in range(3):
        model.train(*examples)
    model.save(tmp_path / "model")
    momentum = model.trainer.optimizers[2].momentums[0].numpy()
    loaded = TFModel({"load": {"path": tmp_path / "model"}, "freeze": ["stem"]})
    np.testing.assert_array_equal(loaded.predict(examples[0]), model.predict(examples[0]))
    np.testing.assert_array_equal(loaded.trainer.optimizers[2].momentums[0].numpy(), momentum)
    assert not np.any(loaded.trainer.optimizers[1].momentums[0].numpy())
    loaded.train(*examples)
    assert (loaded.frozen, loaded.iteration) == (1, 4)
    everything = TFModel({"load": {"path": tmp_path / "model"}, "freeze": []})
    everything.train(*examples)
    assert everything.frozen == 0
    everything.reset()
    everything.train(*examples)
    assert everything.frozen == 0


def test_keras_own_trainable_counts_where_no_patterns_are_given(make, blocks, examples):
    layers = blocks()
    layers[1].trainable = False
    model = TFModel({"inputs": INPUTS, "network": layers})
    model.train(*examples)
    assert model.trainer.plan.learns == [True, False, True, True]
    model = TFModel({"inputs": INPUTS, "network": layers, "freeze": []})
    assert model.trainer.plan.learns == [True] * 4
    assert not layers[1].trainable  # the user's own layers are left alone


def test_keras_own_trainable_counts_within_blocks_too(blocks, examples):
    network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    network.layers[1].convolutions[1].trainable = False
    model = TFModel({"inputs": INPUTS, "network": network})
    name = f"{network.layers[1].name}/convolutions/1"
    assert name not in moved(model, 2, examples)
    assert f"{network.layers[1].name}/convolutions/0" in moved(model, 2, examples)
    again = TFModel({"inputs": INPUTS, "network": model.network})
    assert name not in moved(again, 2, examples)


def test_trainable_set_once_a_model_is_made_changes_nothing(examples):
    dense = [keras.layers.Dense(64, name=name) for name in ("one", "two")]
    both = keras.Sequential([keras.Input((64,)), *dense], name="both")
    layers = [keras.layers.Flatten(), both, keras.layers.Dense(3)]
    keras.utils.set_random_seed(0)
    models = [TFModel({"inputs": INPUTS, "network": layers, "learning_rate": 0.1})]
    models.append(TFModel({"inputs": INPUTS, "network": models[0].network, "learning_rate": 0.1}))
    models[1].network.layers[1].layers[0].trainable = False
    losses = [[model.train(*examples) for _ in range(2)] for model in models]
    assert losses[0] == losses[1]


def test_blocks_without_weights_are_never_frozen_for_good(examples):
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5, seed=1),
        keras.layers.Dense(4, "relu"),
        keras.layers.Dense(3),
    ]
    model = TFModel({"inputs": INPUTS, "network": layers, "freeze": ["dense.*"]})
    assert model.trainer.plan.learns == [True, True, False, False]
    losses = [model.train(*examples) for _ in range(2)]
    assert losses[0] != losses[1]  # dropout goes on
    assert len(moved(model, 2, examples)) == 0


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.BatchNormalization(center=False, scale=False, momentum=0.5, name="norm"),
        FadeIn(keras.layers.ReLU(name="norm"), 4),
    ],
)
def test_blocks_with_nothing_but_statistics_go_on_unless_they_are_frozen(layer, examples):
    layers = [keras.layers.Flatten(name="flat"), layer, keras.layers.Dense(3, name="head")]
    for patterns, moves in (([], {"norm", "head"}), (["norm"], {"head"})):
        model = TFModel({"inputs": INPUTS, "network": layers, "freeze": patterns})
        assert model.trainer.plan.learns == ["norm" in moves] * 2 + [True]
        assert moved(model, 1, examples) == moves


def test_a_block_without_weights_can_not_be_named(examples):
    layers = [keras.layers.Flatten(name="flat"), keras.layers.Dense(3, name="head")]
    with pytest.raises(ValueError, match=r"'flat' matches nothing\. Expected: head"):
        TFModel({"inputs": INPUTS, "network": layers, "freeze": ["flat"]})


def test_words_are_not_scaled_like_pixels():
    words = np.random.default_rng(0).integers(0, 200, (40, 6), dtype=np.uint8)
    layers = [
        keras.layers.Embedding(200, 8, embeddings_initializer="normal"),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(2),
    ]
    model = TFModel({"inputs": {"words": {"shape": (6,), "classes": 2}}, "network": layers})
    logits = model.predict(words)
    assert len(np.unique(logits, axis=0)) > 30
    np.testing.assert_array_equal(logits, model.predict(words.astype(np.int64)))


def test_masks_between_blocks_are_refused_and_within_a_block_welcome():
    embedding = keras.layers.Embedding(9, 4, mask_zero=True, name="embedding")
    mean, head = keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(2)
    inputs = {"words": {"shape": (6,), "classes": 2}}
    with pytest.raises(ValueError, match="embedding gives a mask, which does not pass"):
        TFModel({"inputs": inputs, "network": [embedding, mean, head]})
    block = keras.Sequential([keras.Input((6,)), embedding, mean])
    model = TFModel({"inputs": inputs, "network": [block, head], "learning_rate": 1e-6})
    words = np.array([[1, 2, 0, 0, 0, 0], [3, 4, 5, 0, 0, 0]])
    expected = model.predict(words)
    np.testing.assert_allclose(
        model.train(words, np.array([0, 1]), fetches="predictions"), expected, rtol=1e-6
    )


def test_a_large_embedding_in_front_is_left_out():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 500, (40, 6))
    labels = words[:, 0] % 2
    layers = [
        keras.layers.Embedding(500, 8, name="embedding"),
        keras.layers.Conv1D(8, 3, activation="relu", name="convolution"),
        keras.layers.GlobalMaxPooling1D(name="pool"),
        keras.layers.Dense(2, name="classifier"),
    ]
    inputs = {"words": {"shape": (6,)}, "labels": {"classes": 2}}
    config = {"inputs": inputs, "network": layers, "optimizer": ("SGD", {"momentum": 0.9})}
    models = [TFModel({**config, "freeze": frozen}) for frozen in ([], ["embedding"])]
    operations = [
        executed_operations(lambda model=model: model.train(words, labels)) for model in models
    ]
    assert operations[0]["UnsortedSegmentSum"] > operations[1]["UnsortedSegmentSum"]
    assert [model.frozen for model in models] == [0, 1]
    assert moved(models[1], 3, (words, labels)) == {"convolution", "classifier"}
    assert [len(model.trainer.optimizers[0].variables) for model in models] == [3, 2]


def test_networks_for_images_say_so_when_fed_words():
    inputs = {"words": {"shape": (6,)}, "labels": {"classes": 2}}
    with pytest.raises(ValueError, match=r"ResNet takes images of shape .* Received: \(6,\)"):
        ResNet({"inputs": inputs})
    layers = [keras.layers.Dense(4), keras.layers.Dense(2)]
    with pytest.raises(ValueError, match=r"are for images .* Received: \(6,\)"):
        TFModel({"inputs": inputs, "network": layers, "augment": True})


def test_pipelines_freeze_by_pattern_too():
    losses = []
    config = {"resnet": {"freeze": ["stem", "block[0-1]"], "frozen_batch_norm": "batch"}}
    pipeline = openset("digits").train.pipeline(config=config).train_res(losses)
    for _ in range(2):
        pipeline.next_batch(20, n_epochs=None, shuffle=1)
    assert pipeline.m("resnet").frozen == 3
    bad = openset("digits").train.pipeline(config={"resnet": {"freeze": "blok.*"}}).train_res([])
    with pytest.raises(ValueError, match=r"'blok\.\*' matches nothing"):
        bad.next_batch(20)


def test_many_blocks_with_some_frozen_for_good_still_share_steps(examples):
    schedule = ("FreezeOut", {"iterations": 12, "learning_rate": 0.05, "t_0": 0.3})
    options = {"depth": 16, "growth_rate": 2, "schedule": schedule, "cache": "off"}
    model = DenseNet({"inputs": INPUTS, **options, "freeze": ["stem", "dense0"]})
    assert model.trainer.blocks == 9
    for _ in range(12):
        model.train(*examples)
    assert len(model.trainer.steps) == len(model.trainer.plan.groups)
    assert model.frozen == 8


def test_freezing_again_thaws_what_is_not_named(blocks):
    network = keras.Sequential([keras.Input((8, 8, 1)), *blocks()])
    stem, block = (layer.name for layer in network.layers[:2])
    freeze_layers(network, [stem, f"{block}/convolutions/0"])
    freeze_layers(network, [block])
    assert network.layers[0].trainable
    assert len(network.layers[1].trainable_variables) == 0
    freeze_layers(network, [])
    assert len(network.layers[1].trainable_variables) == 9


@pytest.mark.parametrize(
    ("frozen", "learns"),
    [
        ([], [True] * 7),
        (["one"], [False, False, False, True, True, True, True]),
        (["one", "two"], [False, False, False, True, False, False, True]),
        (["two"], [True, True, True, True, False, False, True]),
        (["one", "two", "last"], [False, False, False, True, False, False, False]),
    ],
)
def test_what_has_nothing_to_learn_is_as_the_block_before_it(frozen, learns):
    kinds = keras.layers
    layers = [
        *(kinds.Rescaling(0.5), kinds.Conv2D(2, 3, name="one"), kinds.ReLU()),
        *(kinds.Dropout(0.5), kinds.Conv2D(2, 3, name="two"), kinds.Flatten()),
        kinds.Dense(3, name="last"),
    ]
    network = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    freeze_layers(network, frozen)
    assert learning(network.layers) == learns


def test_a_scaling_in_front_stands_in_no_ones_way(examples):
    layers = [
        *(keras.layers.Rescaling(0.5), keras.layers.Conv2D(2, 3, name="one"), keras.layers.ReLU()),
        *(keras.layers.Flatten(), keras.layers.Dense(3)),
    ]
    config = {"inputs": INPUTS, "network": layers, "freeze": ["one"], "cache": "memory"}
    model = TFModel({**config, "learning_rate": 0.01})
    for _ in range(3):
        model.train(*examples)
    assert model.frozen == 4
    assert model.trainer.cache.hits > 0
