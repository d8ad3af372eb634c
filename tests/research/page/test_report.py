import numpy as np
import pytest

from research.page import report, tables
from research.storage import results
from research.verdicts.statements import statements
from research.verdicts.statistics import summarize
from utils import History

PREDICTED = {"classic": 1.0, "annealed": 1.0}
CLEAR = [0.030, 0.031, 0.032, 0.030, 0.032]


def histories(differences):
    made = []
    for seed, difference in enumerate(differences):
        for method, accuracy, seconds in (
            ("classic", 0.9, 4.0),
            ("annealed", 0.9 + difference, 2.0),
        ):
            losses = np.linspace(2, 1, 5).tolist()
            made.append(History(method, seed, losses, [seconds / 5] * 5, [0] * 5, accuracy))
    return made


def texts(differences, **more):
    return statements(summarize(histories(differences), PREDICTED), **more)


def test_what_was_kept_is_told_in_a_row_a_method():
    made = histories([0.0, 0.1])
    for history in made[1::2]:
        history.cache = {"asked": 1000, "hits": 750, "bytes": 2_000_000, "seconds_saved": 1.5}
    assert tables.cache_rows(made) == [("annealed", "1000", "75.0", "2", "1.5")]
    assert tables.cache_rows(made[::2]) == []


def test_a_verdict_stands_with_what_it_rests_on():
    text, margin = texts(CLEAR)
    assert text == (
        "annealed against classic: better (p = 2.6e-07). 3.10 points more accuracy, 95 % interval "
        "+2.98 to +3.22, over 5 seeds. It took 0.50 of the time of classic; predicted were 1.00."
    )
    assert margin == (
        "Verdicts have a margin of 0.1 points; their p-values are corrected over the methods "
        "(Holm)."
    )


def test_an_interval_of_the_ratio_of_time_stands_beside_it():
    made = histories(CLEAR)
    for history, seconds in zip(made[1::2], (2.0, 2.2, 1.8, 2.1, 1.9)):
        history.seconds = [seconds / 5] * 5
    text, _ = statements(summarize(made, PREDICTED))
    assert "It took 0.50 of the time of classic, 95 % interval 0.45 to 0.55; predicted" in text


@pytest.mark.parametrize("margin", [0.05, 2])
def test_the_margin_is_named_where_it_decides(margin):
    summary = summarize(histories([0.001, -0.001, 0.0002, 0.0, -0.0005]), PREDICTED, margin=margin)
    text, said = statements(summary, margin)
    if margin == 2:
        assert "annealed against classic: no worse than the margin of 2 points (p = " in text
    else:
        assert "annealed against classic: can't tell (run 15 more seeds). 0.01 points" in text
    assert f"a margin of {margin} points" in said


def test_few_seeds_are_warned_of_in_place_of_an_interval():
    text, _, warning = texts([0.03, -0.05])
    assert "can't tell (run " in text
    assert "1.00 points less accuracy over 2 seeds, too few for an interval. It took" in text
    assert "interval of" not in text
    assert warning.startswith("Warning: intervals over 2 seeds are worth little.")


def test_one_seed_says_nothing():
    (text,) = texts([0.03])
    assert text.startswith("annealed against classic: can't tell (run at least 5 seeds). One seed")


def test_the_noise_of_the_test_images_is_said():
    *_, noise = texts(CLEAR, test_images=450)
    # The mean accuracy is 91.55 %: √(0.9155 · 0.0845 / 450) is 1.31 %.
    assert noise == (
        "An accuracy of 91.55 %, the mean of all methods, on 450 images has a binomial standard "
        "error of 1.31 points, which more seeds on these images do not reduce. One image is 0.22 "
        "points, more than the margin."
    )
    *_, noise = texts(CLEAR, test_images=10_000)
    assert noise.endswith("on these images do not reduce.")


def test_what_decides_sooner_than_so_many_seeds_is_said():
    scattered = [0.03, -0.3, 0.1, -0.1, 0.02]
    assert "longer runs, more test images or a wider margin" in " ".join(texts(scattered))
    assert "longer runs" not in " ".join(texts(CLEAR))


def test_a_target_is_said_of_each_method():
    made = histories(CLEAR)
    for number, history in enumerate(made):
        history.target = {"accuracy": 0.93, "iterations": None, "seconds": None}
        if history.method == "annealed" and number > 4:
            history.target |= {"iterations": 4, "seconds": number / 2}
    said = statements(summarize(made, PREDICTED), target=93)
    assert said[1:3] == [
        "classic reached 93 % in 0/5 runs.",
        "annealed reached 93 % in 3/5 runs, after 4.5 s (median).",
    ]


@pytest.mark.parametrize("difference", [0.0, 0.03, -0.01])
def test_seeds_that_agree_give_no_interval(tmp_path, difference):
    made = histories([difference] * 3)
    summary = summarize(made, {"classic": 1.0, "annealed": 1.0})
    assert summary.difference[1] == pytest.approx(difference)
    assert summary[["ci_low", "ci_high"]].isna().all(axis=None)
    text, *_ = statements(summary)
    assert "all seeds agree: all 3 gave that, which says little about others" in text
    assert "interval" not in text
    assert "can't tell (all seeds agree)" in text
    results.save(tmp_path, made, {"command": "compare"}, {}, {"classic": 1.0, "annealed": 1.0})
    last = (tmp_path / "summary.csv").read_text().splitlines()[-1]
    assert last.startswith("annealed,3,")
    assert ",,,can't tell (all seeds agree),,,0.5,," in last  # no false certainty here either


@pytest.mark.parametrize(
    ("seeds", "reach"),  # t / √n: 12.706 / √2, 4.303 / √3, 3.182 / √4, 2.776 / √5
    [(2, "9.0"), (3, "2.5"), (4, "1.6"), (5, None), (8, None)],
)
def test_below_five_seeds_the_page_says_what_an_interval_is_worth(tmp_path, seeds, reach):
    made = histories(np.linspace(-0.01, 0.02, seeds))
    record = {
        "settings": {"data": "digits", "methods": ["classic"]},
        "environment": {},
        "predicted_ratio": {"classic": 1.0, "annealed": 1.0},
    }
    _, said = report.write_report(tmp_path, made, record)
    assert any("seeds are worth little" in text for text in said) == (reach is not None)
    if reach:
        assert said[-1].startswith(f"Warning: intervals over {seeds} seeds are worth little. They ")
        assert f"reach {reach} standard deviations of the differences" in said[-1]
        assert "(1.2 with 5 seeds)" in said[-1]
        assert said[-1] in (tmp_path / "report.html").read_text()


def test_tables_have_dashes_where_nothing_is_known():
    rows = tables.table_rows(summarize(histories([0.03]), PREDICTED))
    assert all(len(row) == len(tables.COLUMNS) for row in rows)
    assert rows[0] == ("classic", "90.00", "4.0", "–", "–", "–", "–")
    assert rows[1] == ("annealed", "93.00", "2.0", "0.50 (few seeds)", "1.00", "–", "can't tell")


@pytest.mark.parametrize("seeds", [1, 2, 4, 5, 10])
def test_the_table_stays_within_100_columns(seeds):
    rng = np.random.default_rng(0)
    made = [
        History(method, seed, [1.0], [rng.uniform(9000, 9999)], [0], rng.uniform(0.3, 0.9))
        for seed in range(seeds)
        for method in ("classic", "annealed", "layerfreezing", "stochastic")
    ]
    predicted = dict.fromkeys(("classic", "annealed", "layerfreezing", "stochastic"), 0.9)
    for margin in (0.1, 90):
        (table,) = tables.tables_of(made, summarize(made, predicted, margin=margin))
        lines = table.to_string(index=False).splitlines()
        assert max(map(len, lines)) <= 100
        assert ("few seeds" in lines[2]) == (seeds < 5)
    assert seeds < 5 or "no worse than the margin" in table.to_string()


def test_a_page_leaves_out_what_nothing_is_known_of(tmp_path):
    made = histories([0.01, 0.02])
    record = {
        "settings": {"data": "digits", "iterations": 5, "batch_size": 8, "methods": ["classic"]},
        "environment": {"python": "3"},
        "predicted_ratio": {"classic": 1.0, "annealed": 1.0},
    }
    report.write_report(tmp_path, made, record)
    page = (tmp_path / "report.html").read_text()
    assert "annealed against classic" in page
    assert "Difference: to the matched baseline" in page
    assert "Frozen blocks" not in page
    assert "images of" not in page  # a record of earlier versions says nothing of the data
    made[0].frozen[-1] = 2
    report.write_report(tmp_path, made, record)
    assert "Frozen blocks" in (tmp_path / "report.html").read_text()
