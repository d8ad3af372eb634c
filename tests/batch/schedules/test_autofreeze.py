import numpy as np
import pytest
import tensorflow as tf

from batch import Annealed, AutoFreeze, LayerFreezing, TFModel
from batch.training.export import StaticGraph
from batch.training.losses import cross_entropy
from research.benchmarks.graphs import executed_operations

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


def composers_depth(layers, epoch, epochs, start, level):
    """The rule in Composer's words: layers frozen after so many epochs of a run."""
    elapsed = epoch / epochs
    if elapsed <= start:
        return 0
    return int(level * (elapsed - start) / (1 - start) * layers)


@pytest.mark.parametrize("start", [0.0, 0.5, 0.75])
@pytest.mark.parametrize("level", [1.0, 0.6, 0.0])
def test_linear_freezing_is_composers(start, level):
    blocks, epochs, every = 7, 16, 5
    schedule = LayerFreezing(blocks, epochs * every, 0.1, every, start, level)
    annealed = Annealed(blocks, epochs * every, 0.1)
    for iteration in range(epochs * every):
        rates = schedule(iteration)
        frozen = composers_depth(blocks, iteration // every, epochs, start, level)
        assert np.count_nonzero(rates) == blocks - frozen
        np.testing.assert_array_equal(rates[:frozen], 0)
        np.testing.assert_array_equal(rates[frozen:], annealed(iteration)[frozen:])


def test_epochs_are_a_tenth_of_the_run_by_default_and_the_last_may_be_short():
    assert LayerFreezing(3, 95, 0.1).every == 10
    np.testing.assert_array_equal(LayerFreezing(3, 10, 0.1, every=4).last_iterations, [8, 10, 10])
    np.testing.assert_array_equal(LayerFreezing(3, 10, 0.1, 4, 0.0).last_iterations, [4, 8, 10])


def test_autofreeze_by_hand():
    schedule = AutoFreeze(4, 100, 0.1, every=2)
    observe = iter(range(100))
    for norms in ([1, 1, 1, 1], [1, 2, 3, 4]):  # sums 2, 3, 4, 5
        schedule.observe(next(observe), norms)
    assert schedule.frozen == 0  # nothing to compare with yet
    for norms in ([1, 1, 1, 1], [0.9, 1.8, 2, 2]):  # sums 1.9, 2.8, 3, 3: η .05, .067, .25, .4
        schedule.observe(next(observe), norms)
    assert schedule.frozen == 2  # the median is 0.158, and the third is the first to reach it
    np.testing.assert_array_equal(schedule(4) > 0, [False, False, True, True])
    for norms in ([0, 0, 1.5, 1.5], [0, 0, 0.5, 1.6]):  # sums 2, 3.1: η .33, .033
        schedule.observe(next(observe), norms)
    assert schedule.frozen == 2  # the first of those that learn changes most
    for norms in ([0, 0, 1, 0], [0, 0, 1, 0]):
        schedule.observe(next(observe), norms)
    assert schedule.frozen == 3
    for norms in ([0, 0, 0, 9], [0, 0, 0, 9]):
        schedule.observe(next(observe), norms)
    assert schedule.frozen == 3  # one block learns until the end


def test_blocks_that_can_not_learn_do_not_count():
    schedule = AutoFreeze(5, 100, 0.1, every=1)
    schedule.observe(0, [1, 0, 1, 0, 1])
    schedule.observe(1, [0.9, 0, 0.8, 0, 0.7])  # η .1, .2, .3
    assert schedule.frozen == 2  # the first, and the one after it that has nothing to learn
    schedule.observe(2, [0, 0, 0, 0, 0])
    schedule.observe(3, [0, 0, 0, 0, 0])
    assert schedule.frozen == 2


@pytest.mark.parametrize("kind", [LayerFreezing, AutoFreeze])
def test_after_the_last_iteration_all_blocks_are_fine_tuned(kind):
    plain, tuned = (kind(3, 10, 0.1, every=1, finetune_rate=rate) for rate in (None, 0.02))
    annealed = Annealed(3, 10, 0.1, finetune_rate=0.02)
    for schedule in (plain, tuned):
        for iteration in range(2):
            getattr(schedule, "observe", lambda *_: None)(
                iteration, [1, 1 + iteration, 2 + 2 * iteration]
            )
    np.testing.assert_array_equal(plain(9), tuned(9))
    assert tuned(9)[0] == 0
    np.testing.assert_array_equal(plain(10), 0)
    np.testing.assert_array_equal(tuned(10), annealed(10))
    assert kind(**tuned.get_config())(12).tolist() == [0.02] * 3


def test_what_learns_does_so_along_the_baselines_curve():
    schedule, annealed = AutoFreeze(3, 40, 0.1), Annealed(3, 40, 0.1)
    assert all(np.array_equal(schedule(t), annealed(t)) for t in range(45))


@pytest.mark.parametrize(("percentile", "frozen"), [(0, 0), (34, 1), (60, 2), (100, 2)])
def test_a_higher_percentile_freezes_more(percentile, frozen):
    schedule = AutoFreeze(3, 100, 0.1, every=1, percentile=percentile)
    schedule.observe(0, [1, 1, 1])
    schedule.observe(1, [0.9, 0.8, 0.7])
    assert schedule.frozen == frozen


def test_autofreeze_goes_on_from_its_state():
    rng = np.random.default_rng(0)
    norms = rng.uniform(0.5, 1, (30, 5))
    whole, first = (AutoFreeze(5, 30, 0.1, every=4) for _ in range(2))
    for iteration in range(14):
        whole.observe(iteration, norms[iteration])
        first.observe(iteration, norms[iteration])
    second = AutoFreeze(**first.get_config())
    assert second.frozen == 0
    second.set_state(first.get_state())
    for iteration in range(14, 30):
        whole.observe(iteration, norms[iteration])
        second.observe(iteration, norms[iteration])
        assert second.get_state() == whole.get_state()
    assert whole.frozen > 0


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (LayerFreezing, {"freeze_start": 1}, "freeze_start must be below 1"),
        (LayerFreezing, {"freeze_start": -0.1}, "freeze_start must be 0 or more and at most 1"),
        (LayerFreezing, {"freeze_level": 2}, "freeze_level must be 0 or more and at most 1"),
        (LayerFreezing, {"every": 0}, "every must be a whole number above 0"),
        (AutoFreeze, {"every": 1.5}, "every must be a whole number above 0"),
        (AutoFreeze, {"percentile": 101}, "percentile must be at most 100. Received: 101"),
        (AutoFreeze, {"percentile": -1}, "percentile must be a finite number, 0 or more"),
        (AutoFreeze, {"learning_rate": 0}, "learning_rate must be a finite number above 0"),
    ],
)
def test_bad_parameters_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"blocks": 3, "iterations": 10, "learning_rate": 0.1, **arguments})


class Watching:
    """Rates set by hand, and all that is observed."""

    def __init__(self, *rates):
        self.rates = np.array(rates, dtype=float)
        self.seen = []

    def __call__(self, iteration):
        return self.rates

    def observe(self, iteration, gradient_norms):
        self.seen.append((iteration, gradient_norms))

    def get_state(self):
        return len(self.seen)

    def set_state(self, state):
        pass


def test_what_is_observed_are_the_norms_of_the_blocks_gradients(blocks, examples):
    images, labels = examples
    config = {"inputs": INPUTS, "network": blocks(), "weight_decay": 0.1}
    clipped = ("SGD", {"global_clipnorm": 1e-3})
    model = TFModel({**config, "schedule": Watching(0, 0.1, 0.1), "optimizer": clipped})
    twin = TFModel({**config, "schedule": lambda iteration: np.array([0, 0.1, 0.1])})
    with tf.GradientTape() as tape:
        stem, *rest = twin.network.layers
        features = stem(images.astype(np.float32) / 255, training=False)
        for layer in rest:
            features = layer(features, training=True)
        loss = tf.reduce_mean(cross_entropy(tf.constant(labels), features))
    variables = [[variable.value for variable in layer.trainable_variables] for layer in rest[:2]]
    expected = [tf.linalg.global_norm(own) for own in tape.gradient(loss, variables)]
    model.train(images, labels)
    ((iteration, norms),) = model.trainer.schedule.seen
    assert iteration == 0
    np.testing.assert_allclose(norms, [0, *expected], rtol=1e-4)


@pytest.mark.usefixtures("settled_first_block")
def test_a_model_freezes_as_its_rule_says_and_is_resumed_with_it(blocks, examples, tmp_path):
    settings = {"iterations": 24, "learning_rate": 0.05, "every": 2, "percentile": 100}
    schedule = ("AutoFreeze", settings)
    config = {"inputs": INPUTS, "network": blocks(), "schedule": schedule}
    whole, half = TFModel(config), TFModel(config)
    losses, frozen = [], []
    for _ in range(24):
        losses.append(whole.train(*examples))
        frozen.append(whole.frozen)
    assert frozen[0] == 0
    assert frozen[-1] > 0
    assert np.all(np.diff(frozen) >= 0)
    stop = int(np.flatnonzero(np.diff(frozen))[0]) + 1  # it has just been decided
    for _ in range(stop):
        half.train(*examples)
    assert half.frozen == 0
    half.save(tmp_path / "half")
    loaded = TFModel({"load": {"path": tmp_path / "half"}})
    assert loaded.frozen == 0
    assert [loaded.train(*examples) for _ in range(stop, 24)] == losses[stop:]
    assert loaded.trainer.schedule.get_state() == whole.trainer.schedule.get_state()
    whole.reset()
    assert whole.trainer.schedule.frozen == 0
    assert [whole.train(*examples) for _ in range(24)] == losses


@pytest.mark.usefixtures("settled_first_block")
def test_a_rule_of_ones_own_is_copied_for_each_model(blocks, examples):
    rule = AutoFreeze(3, 8, 0.05, every=1)
    models = [TFModel({"inputs": INPUTS, "network": blocks(), "schedule": rule}) for _ in range(2)]
    for _ in range(6):
        models[0].train(*examples)
    assert rule.get_state() == AutoFreeze(3, 8, 0.05, every=1).get_state()
    assert models[1].trainer.schedule.get_state() == rule.get_state()
    assert models[0].trainer.schedule.frozen > 0


def test_a_rule_whose_state_can_not_be_kept_is_refused(blocks):
    class Forgetful(Watching):
        get_state = None

    class Arrays(Watching):
        def get_state(self):
            return np.zeros(3)

    for rule in (Forgetful, Arrays):
        with pytest.raises(ValueError, match=r"needs get_state\(\), in plain values"):
            TFModel({"inputs": INPUTS, "network": blocks(), "schedule": rule(1, 1, 1)})


def test_another_rule_begins_anew_where_a_model_is_loaded(blocks, examples, tmp_path):
    config = {"inputs": INPUTS, "network": blocks()}
    model = TFModel({**config, "schedule": Watching(0.1, 0.1, 0.1)})
    model.train(*examples)
    model.save(tmp_path / "model")
    schedule = ("AutoFreeze", {"iterations": 9, "learning_rate": 0.05})
    loaded = TFModel({"load": {"path": tmp_path / "model"}, "schedule": schedule})
    assert loaded.trainer.schedule.frozen == 0
    loaded.train(*examples)


def test_gradient_norms_are_counted_for_a_rule_alone(blocks, examples):
    models = [
        TFModel({"inputs": INPUTS, "network": blocks(), "schedule": (name, settings)})
        for name, settings in (
            ("Annealed", {"iterations": 9, "learning_rate": 0.05}),
            ("AutoFreeze", {"iterations": 9, "learning_rate": 0.05}),
        )
    ]
    operations = [
        executed_operations(lambda model=model: model.train(*examples)) for model in models
    ]
    assert operations[0]["L2Loss"] == 0
    assert operations[1]["L2Loss"] == 3 + 9 + 6 + 2


def test_a_static_graph_refuses_a_rule(blocks):
    schedule = ("AutoFreeze", {"iterations": 9, "learning_rate": 0.05})
    model = TFModel({"inputs": INPUTS, "network": blocks(), "schedule": schedule})
    with pytest.raises(ValueError, match="Received: AutoFreeze, which looks at training"):
        StaticGraph(model.trainer, 9)
