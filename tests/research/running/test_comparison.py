import dataclasses

import numpy as np
import pytest
from scipy import stats

from batch.data.data import Split
from batch.flops import block_costs
from research import Method, compare
from research.experiments import experiment as experiments
from research.experiments import prediction, splits
from research.experiments.experiment import Experiment
from research.experiments.prediction import predicted_ratio
from research.running import comparison, turns
from research.running.run import Run, run
from research.verdicts import labels
from research.verdicts.statistics import paired_interval, summarize
from utils import Data, History, load_data


def history(method, seed, accuracy, seconds):
    return History(method, seed, [2.0, 1.0], [seconds / 2] * 2, [0, 0], accuracy)


@pytest.fixture
def histories():
    accuracies = {
        "classic": [0.90, 0.91, 0.92],
        "annealed": [0.95, 0.95, 0.95],
        "freezeout": [0.94, 0.96, 0.95],
    }
    times = {"classic": 10, "annealed": 10.5, "freezeout": 8}
    return [
        history(method, seed, accuracies[method][seed], times[method])
        for seed in range(3)
        for method in accuracies
    ]


def test_summary_pairs_each_method_with_its_baseline(histories):
    table = summarize(histories, {"classic": 1.0, "annealed": 1.0, "freezeout": 0.75})
    classic, annealed, freezeout = (row for _, row in table.iterrows())
    assert classic.accuracy_mean == pytest.approx(0.91)
    assert classic.accuracy_std == pytest.approx(0.01)
    assert classic.seeds == 3
    assert classic.seconds_ratio == 1
    assert np.isnan(classic.difference)
    assert annealed.baseline == "classic"
    assert annealed.difference == pytest.approx(0.04)
    assert freezeout.baseline == "annealed"
    assert freezeout.difference == pytest.approx(0)
    assert freezeout.seconds_ratio == pytest.approx(0.8)
    assert freezeout.predicted_ratio == 0.75
    # t = 4.303 with 2 degrees of freedom; differences −0.01, 0.01, 0: deviation 0.01.
    assert freezeout.ci_high == pytest.approx(4.3027 * 0.01 / np.sqrt(3), rel=1e-4)
    assert freezeout.ci_low == pytest.approx(-freezeout.ci_high)


def test_one_seed_gives_no_difference_and_no_interval(histories):
    table = summarize(histories[:3], {})
    assert table[["difference", "ci_low", "ci_high", "accuracy_std"]].isna().all(axis=None)


def test_without_baseline_or_classic_nothing_is_made_up(histories):
    only = [one for one in histories if one.method == "freezeout"]
    row = summarize(only, {"freezeout": 0.75}).iloc[0]
    assert row.baseline is None
    assert np.isnan([row.seconds_ratio, row.difference]).all()


def test_pairs_are_made_of_the_seeds_that_both_have(histories):
    kept = [one for one in histories if (one.method, one.seed) != ("annealed", 2)]
    table = summarize(kept, {}).set_index("method")
    assert table.loc["freezeout", "difference"] == pytest.approx(0)
    assert table.loc["freezeout", "ci_high"] == pytest.approx(12.7062 * 0.01, rel=1e-4)


def test_paired_interval_of_too_few():
    assert np.isnan(paired_interval([0.1])).all()
    assert np.isnan(paired_interval([])).all()


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10])
def test_paired_interval_is_students(seeds):
    differences = np.random.default_rng(seeds).normal(0.01, 0.02, seeds)
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert paired_interval(differences)[1:] == pytest.approx(tuple(expected), rel=1e-12)


def test_equal_differences_give_no_interval():
    mean, low, high = paired_interval([0.95 - 0.92, 0.98 - 0.95, 0.03])  # equal but for rounding
    assert mean == pytest.approx(0.03)
    assert np.isnan([low, high]).all()


@pytest.mark.usefixtures("small_networks")
def test_methods_share_start_and_order():
    data = load_data("digits")
    first = [
        run(Experiment(method=method, iterations=2, batch_size=50, seed=5), data)[0].loss[0]
        for method in ("classic", "annealed", "freezeout")
    ]
    assert first[0] == first[1] == first[2]


@pytest.mark.usefixtures("small_networks")
def test_stochastic_depth_starts_like_classic_too():
    data = load_data("digits")
    losses = [
        run(Experiment(method=method, iterations=3, batch_size=50, survival=1.0), data)[0].loss
        for method in ("classic", "stochastic")
    ]
    assert losses[0] == losses[1]


@pytest.mark.usefixtures("small_networks")
def test_the_same_experiment_gives_the_same_bits():
    data = load_data("digits")
    one = Experiment(method="freezeout", iterations=6, batch_size=50)
    (first, model), (second, _) = run(one, data), run(one, data)
    assert first.loss == second.loss
    assert first.accuracy == second.accuracy
    assert first.frozen == [0, 0, 0, 0, 1, 3]
    assert 0.8 < predicted_ratio(one, block_costs(model.network)) < 1


def test_decisions_must_come_before_the_end_where_there_are_any():
    data, late = load_data("digits"), {"iterations": 5, "batch_size": 50, "freeze_every": 5}
    with pytest.raises(ValueError, match="--freeze-every must be below the 5 iterations of the"):
        experiments.check(Experiment(method="layerfreezing", **late), data)
    experiments.check(Experiment(method="shorter", **late), data)


def test_a_batch_above_the_data_is_refused():
    with pytest.raises(ValueError, match="1348 images, but digits has 1347"):
        run(Experiment(batch_size=1348), load_data("digits"))


@pytest.mark.parametrize("method", ["classic", "freezeout", "stochastic"])
def test_equal_time_spends_the_predicted_saving_on_more_iterations(method):
    data = load_data("digits")
    one = Experiment(method=method, iterations=1000, how_scale="cubic")
    costs = prediction.costs({method: one}, data)[method]
    longer = prediction.equal_time(one, costs)
    assert (longer.iterations > 1000) == (method != "classic")
    assert predicted_ratio(longer, costs, 1000) == pytest.approx(1, abs=2e-3)
    assert dataclasses.replace(longer, iterations=1000) == one


@pytest.mark.usefixtures("small_networks")
def test_a_method_of_ones_own_is_compared_from_python():
    def config(experiment, blocks):
        return {"schedule": lambda iteration: [experiment.learning_rate] * blocks}

    own = Method("own", config, baseline="classic")
    base = Experiment(iterations=2, batch_size=20)
    named = {"plain": base, "mine": dataclasses.replace(base, method=own)}
    histories = compare(named, [0], load_data("digits"), quiet=True)
    plain, mine = histories
    assert plain.loss == mine.loss  # the rate that classic has
    table = summarize(histories, {}, labels.describe(named)).set_index("method")
    assert table.baseline["mine"] == "plain"
    assert table.pairs["mine"] == 1


@pytest.mark.usefixtures("small_networks")
def test_methods_take_turns_and_are_none_the_worse_for_it(monkeypatch):
    data = load_data("digits")
    base = Experiment(iterations=5, batch_size=50)
    named = {method: dataclasses.replace(base, method=method) for method in ("classic", "annealed")}
    named["annealed"] = dataclasses.replace(named["annealed"], iterations=3)
    monkeypatch.setattr(turns, "TURN", 2)
    order = []
    original = Run.advance

    def advance(self, iterations):
        order.append((self.experiment.label, len(self.history)))
        original(self, iterations)

    monkeypatch.setattr(Run, "advance", advance)
    histories = comparison.compare(named, [3], data, quiet=True)
    assert order[1:5] == [("classic", 0), ("annealed", 0), ("classic", 2), ("annealed", 2)]
    alone = run(dataclasses.replace(named["annealed"], seed=3), data)[0]
    assert [len(history) for history in histories] == [5, 3]
    assert (histories[1].loss, histories[1].accuracy) == (alone.loss, alone.accuracy)


@pytest.mark.parametrize("finetune_rate", [0.01, None])
def test_equal_time_where_the_schedule_ends_before_the_run(finetune_rate):
    data = load_data("digits")
    one = Experiment(
        method="freezeout", iterations=400, freeze_iterations=300, finetune_rate=finetune_rate
    )
    costs = prediction.costs({"it": one}, data)["it"]
    longer = prediction.equal_time(one, costs)
    assert longer.iterations > 410
    assert longer.freeze_iterations == pytest.approx(0.75 * longer.iterations, abs=1)
    assert predicted_ratio(longer, costs, 400) == pytest.approx(1, abs=5e-3)


def test_networks_are_counted_once_for_all_who_share_them(monkeypatch):
    made = []
    original = experiments.make_model
    monkeypatch.setattr(
        prediction, "make_model", lambda one, data: made.append(one) or original(one, data)
    )
    named = {method: Experiment(method=method) for method in ("classic", "freezeout", "stochastic")}
    costs = prediction.costs(named, load_data("digits"))
    assert len(made) == 2
    assert costs["classic"] is costs["freezeout"]
    assert costs["stochastic"][-2].dropped is not None


def test_the_recipe_reaches_the_model():
    data = load_data("digits")
    one = Experiment(
        method="annealed",
        learning_rate=0.2,
        momentum=0.7,
        weight_decay=1e-3,
        augment=True,
        normalize=True,
        scale_lr=True,
        t_0=0.8,
        how_scale="squared",
    )
    trainer = experiments.make_model(one, data).trainer
    assert trainer.schedule.get_config() == {
        **{"blocks": 5, "iterations": 150, "learning_rate": 0.2, "t_0": 0.8, "degree": 2},
        **{"scaled": True, "finetune_rate": 1e-2, "count_classifier": False},
    }
    assert trainer.optimizers[0].momentum == 0.7
    assert trainer.preprocessing.mean == pytest.approx([(data.train.images / 255).mean()])
    assert trainer.preprocessing.augments
    classic = experiments.make_model(dataclasses.replace(one, method="classic"), data).trainer
    assert classic.plan.rates_at(0).tolist() == [0.2] * 6
    defaults = experiments.make_model(Experiment(), data).trainer
    assert (defaults.plan.rates_at(0)[0], defaults.optimizers[0].momentum) == (0.03, 0.8)


def test_what_a_rule_saved_is_told_by_its_runs():
    costs = block_costs(experiments.make_model(Experiment(), load_data("digits")).network)
    rule = Experiment(method="autofreeze", iterations=4)
    assert predicted_ratio(rule, costs) is None
    ratios = prediction.flops.frozen_ratios(costs)
    runs = [
        History("autofreeze", seed, [1.0] * 4, [1.0] * 4, frozen, 0.9)
        for seed, frozen in enumerate([[0, 0, 2, 3], [0, 0, 0, 0]])
    ]
    expected = np.mean([np.mean([1, 1, ratios[2], ratios[3]]), 1])
    assert prediction.ratio_of_runs(runs, costs, 4) == pytest.approx(expected)


def test_views_are_of_augmented_images():
    given = Experiment(augment=True, views=3)
    data = load_data("digits")
    assert given.config(data)["augment"] == {"pad": 4, "flip": True, "views": 3}
    assert Experiment(augment=True).config(data)["augment"] is True
    with pytest.raises(ValueError, match=r"views needs augment=True\. Received: False"):
        Experiment(views=3)
    with pytest.raises(ValueError, match=r"views must be a whole number above 0\. Received: 0"):
        Experiment(augment=True, views=0)


def test_views_and_part_are_of_a_runs_identity():
    data = load_data("digits")
    identities = [
        Run(Experiment(augment=True, views=views, batch_size=20), part).identity
        for views, part in ((3, data), (None, data), (3, data.with_train_images(300)))
    ]
    assert [identity["views"] for identity in identities] == [3, None, 3]
    assert [identity["train_images"] for identity in identities] == [1347, 1347, 300]
    assert identities[0]["train_sha256"] != identities[2]["train_sha256"]


def test_validation_takes_the_last_5000_training_images():
    images = np.zeros((10_001, 2, 2, 1), np.uint8)
    images[-5000:] = 7
    labels = np.arange(10_001) % 3
    data = Data("many", 3, Split(images, labels), Split(images[:5], labels[:5]))
    held = splits.hold_out(data)
    assert len(held.train.labels) == 5001
    assert held.test.images.shape == (5000, 2, 2, 1)
    assert (held.test.images == 7).all()
    assert not (held.train.images == 7).any()
    np.testing.assert_array_equal(held.test.labels, labels[-5000:])
    data = Data("sorted", 3, Split(images, np.sort(labels)), Split(images[:5], labels[:5]))
    with pytest.raises(ValueError, match="train split: no example of class 2, of which the test"):
        splits.hold_out(data)
    with pytest.raises(ValueError, match=r"digits has 1,347\. Validate on the test split"):
        splits.hold_out(load_data("digits"))
