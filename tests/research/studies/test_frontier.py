import numpy as np
import pytest

from research.experiments import bases
from research.experiments.experiment import Experiment
from research.studies import frontier, texts
from utils import History

HALF = "annealed K=0, 0.5 of the iterations"
RUNS = {  # accuracy over that of K=0, seconds, share of what was read
    frontier.BASELINE: (0.0, 100.0, None),
    "annealed K=3": (0.02, 60.0, 0.8),
    "annealed K=5": (0.01, 70.0, 0.8),
    "annealed K=9, rate 0.02": (-0.05, 5.0, 0.8),
    HALF: (-0.03, 50.0, None),
    "freezeout cubic, t_0 0.3": (0.02, 65.0, 0.5),
}
FROZEN = "annealed K=3"


def made(seeds, scatter=0.001):
    return [
        History(
            *(label, seed, [1.0, 1.0], [seconds / 2] * 2, [0, 0]),
            0.7 + gain + scatter * (-1) ** seed * (label != frontier.BASELINE),
            read and {"asked": 200, "hits": int(200 * read)},
        )
        for seed in range(seeds)
        for label, (gain, seconds, read) in RUNS.items()
    ]


@pytest.fixture
def blocks(monkeypatch):
    """The base has 18 blocks."""
    monkeypatch.setattr(bases, "count_blocks", lambda base: 18)


def test_what_is_run(blocks):
    base = Experiment(base="efficientnet-lite0", iterations=240, learning_rate=0.002)
    named = frontier.experiments(base)
    frozen = {label: run.freeze_first for label, run in named.items() if "K=" in label}
    ks = [0, 4, 7, 11, 14]
    assert frozen == {
        **{f"annealed K={k}": k for k in ks},
        "annealed K=18, rate 0.02": 18,
        "annealed K=0, 0.25 of the iterations": 0,
        HALF: 0,
    }
    assert [
        named[f"annealed K=0, {share} of the iterations"].iterations for share in (0.25, 0.5)
    ] == [
        60,
        120,
    ]
    for label, run in named.items():
        assert run.label == label.split(" ")[0]
        assert run.learning_rate == (0.02 if "rate" in label else 0.002)
        assert run.iterations == 240 or "of the iterations" in label
        if run.label == "freezeout":
            assert not run.scale_lr
    spacings = [(run.how_scale, run.t_0) for run in named.values() if run.label == "freezeout"]
    assert spacings == [("linear", 0.05), ("cubic", 0.3)]


def test_the_numbers_of_blocks_may_be_given(blocks):
    base = Experiment(base="efficientnet-lite0")  # at the method's own rate
    named = frontier.experiments(base, (5, 18))
    labels = [label for label in named if "of the" not in label and "K=" in label]
    assert labels == ["annealed K=0", "annealed K=5", "annealed K=18, rate 0.6"]


def test_what_no_other_run_beats():
    table = frontier.table(made(4), {}).set_index("run")
    assert table["beaten by"].to_dict() == {
        frontier.BASELINE: FROZEN,  # the more accurate of those as accurate, faster
        FROZEN: "",
        "annealed K=5": FROZEN,
        "annealed K=9, rate 0.02": "",
        HALF: "",
        "freezeout cubic, t_0 0.3": FROZEN,  # as accurate, and slower
    }
    assert table["by, points"].tolist() == pytest.approx(
        [2, np.nan, 1, np.nan, np.nan, 0], nan_ok=True, abs=1e-9
    )
    assert table["time saved, %"].tolist() == pytest.approx([0, 40, 30, 95, 50, 35])
    assert table["read from the cache, %"].tolist() == pytest.approx([0, 80, 80, 80, 0, 50])


def test_differences_are_paired_with_runs_of_about_equal_time():
    table = frontier.table(made(4), {}).set_index("run")
    assert table["shorter run of its time"].tolist() == ["", HALF, HALF, "", "", HALF]
    assert table["over that, points"].tolist()[1:3] == pytest.approx([5, 4])
    assert table["over K=0, points"].tolist() == pytest.approx([0, 2, 1, -5, -3, 2])
    reach = 3.1824 * np.std([0.1, -0.1] * 2, ddof=1) / 2  # Student's t of 3 degrees over √4
    assert table["from"][FROZEN] == pytest.approx(2 - reach, rel=1e-3)
    assert np.isnan(table["that from"][FROZEN])  # all seeds agree
    assert texts(frontier, table.reset_index()).iloc[0]["from"] == "–"


def test_statements_name_what_is_best_and_what_beats_the_others():
    said = frontier.statements(frontier.table(made(6), {}), 6)
    reach = 2.5706 * np.std([0.1, -0.1] * 3, ddof=1) / np.sqrt(6)  # Student's t of 5 degrees
    assert said[:4] == [
        "No other run is faster and on average at least as accurate as annealed K=3 (60.0 s, "
        "72.00 %); annealed K=9, rate 0.02 (5.0 s, 65.00 %). Nor as these, which freeze nothing "
        f"for good: {HALF} (50.0 s, 67.00 %).",
        f"annealed K=0 is beaten by {FROZEN}, which is faster, at +2.00 points (from "
        f"{2 - reach:+.2f} to {2 + reach:+.2f}).",
        f"annealed K=5 is beaten by {FROZEN}, which is faster, at +1.00 points (all seeds agree).",
        f"{FROZEN}: 40.0 % less time than annealed K=0, +2.00 points (from {2 - reach:+.2f} to "
        f"{2 + reach:+.2f}); +5.00 points (all seeds agree) over {HALF}, which takes about as "
        "long.",
    ]
    assert len(said) == 7
    assert "shorter" not in said[5]
    assert said[5].startswith("annealed K=9, rate 0.02: 95.0 % less time than annealed K=0, -5.00")


def test_one_seed_says_nothing():
    first, *others = frontier.statements(frontier.table(made(1, scatter=0), {}), 1)
    assert first == "With one seed, differences may be chance."
    assert others[1].endswith("at +2.00 points.")


def test_the_figure_has_a_point_a_run_and_the_frontier():
    axis = frontier.figure(frontier.table(made(3), {})).axes[0]
    assert [text.get_text() for text in axis.texts] == [
        *("K=0", "K=3", "K=5", "K=9, rate 0.02", "0.5 of the iterations", "cubic, t_0 0.3")
    ]
    line = axis.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [5, 50, 60])
    np.testing.assert_allclose(line.get_ydata(), [65 + 0.1 / 3, 67 + 0.1 / 3, 72 + 0.1 / 3])
