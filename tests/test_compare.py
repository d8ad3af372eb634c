import numpy as np
import pytest

from research.compare import paired_interval, summarize
from research.experiment import Experiment, predicted_ratio, run
from utils import History, load_data


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


def test_methods_share_start_and_order():
    data = load_data("digits")
    first = [
        run(Experiment(method=method, iterations=2, batch_size=50, seed=5), data)[0].loss[0]
        for method in ("classic", "annealed", "freezeout")
    ]
    assert first[0] == first[1] == first[2]


def test_stochastic_depth_starts_like_classic_too():
    data = load_data("digits")
    losses = [
        run(Experiment(method=method, iterations=3, batch_size=50, survival=1.0), data)[0].loss
        for method in ("classic", "stochastic")
    ]
    assert losses[0] == losses[1]


def test_the_same_experiment_gives_the_same_bits():
    data = load_data("digits")
    one = Experiment(method="freezeout", iterations=6, batch_size=50)
    (first, model), (second, _) = run(one, data), run(one, data)
    assert first.loss == second.loss
    assert first.accuracy == second.accuracy
    assert first.frozen == [0, 0, 0, 0, 1, 3]
    assert 0.8 < predicted_ratio(one, model.network) < 1


def test_a_batch_above_the_data_is_refused():
    with pytest.raises(ValueError, match="1348 images, but digits has 1347"):
        run(Experiment(batch_size=1348), load_data("digits"))
