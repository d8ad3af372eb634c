import numpy as np
import pytest

from research import report, results
from research.statistics import statements, summarize
from utils import History


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


def texts(differences):
    predicted = {"classic": 1.0, "annealed": 1.0}
    return statements(summarize(histories(differences), predicted))


def test_what_was_kept_is_told_in_a_row_a_method():
    made = histories([0.0, 0.1])
    for history in made[1::2]:
        history.cache = {"asked": 1000, "hits": 750, "bytes": 2_000_000, "seconds_saved": 1.5}
    assert report.cache_rows(made) == [("annealed", "1000", "75.0", "2", "1.5")]
    assert report.cache_rows(made[::2]) == []


def test_a_clear_difference_is_told_with_its_interval():
    text, _ = texts([0.030, 0.031, 0.032])
    assert text.startswith("annealed against classic: 3.10 points more accuracy")
    assert "+2.85 to +3.35, over 3 seeds. Seeds alone would hardly give that." in text
    assert text.endswith("It took 0.50 of the time of classic; predicted were 1.00.")


def test_what_chance_can_give_is_called_so():
    text, _ = texts([0.03, -0.05])
    assert "1.00 points less accuracy" in text
    assert "can't be told from chance" in text


def test_one_seed_tells_nothing():
    (text,) = texts([0.03])
    assert "one seed tells nothing" in text


@pytest.mark.parametrize("difference", [0.0, 0.03, -0.01])
def test_seeds_that_agree_give_no_interval(tmp_path, difference):
    made = histories([difference] * 3)
    summary = summarize(made, {"classic": 1.0, "annealed": 1.0})
    assert summary.difference[1] == pytest.approx(difference)
    assert summary[["ci_low", "ci_high"]].isna().all(axis=None)
    text, _ = statements(summary)
    assert "All 3 seeds gave the same, which says little about others" in text
    assert "interval" not in text
    assert report.table_row(summary.iloc[1])[-1] == "all seeds agree"
    results.save(tmp_path, made, {"command": "compare"}, {}, {"classic": 1.0, "annealed": 1.0})
    last = (tmp_path / "summary.csv").read_text().splitlines()[-1]
    assert last.startswith("annealed,3,")
    assert last.endswith(",,")  # no false certainty in the file either


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
    assert len(said) == 1 + (reach is not None)
    if reach:
        assert said[-1].startswith(f"Intervals over {seeds} seeds are worth little: they ")
        assert f"reach {reach} standard deviations of the differences" in said[-1]
        assert "(1.2 with 5 seeds)" in said[-1]
        assert said[-1] in (tmp_path / "report.html").read_text()


def test_tables_have_dashes_where_nothing_can_be_told():
    summary = summarize(histories([0.03]), {"classic": 1.0, "annealed": 1.0})
    rows = [report.table_row(row) for _, row in summary.iterrows()]
    assert all(len(row) == len(report.COLUMNS) for row in rows)
    assert rows[1] == ("annealed", "1", "93.00", "2.0", "0.500", "1.000", "–", "–")


def test_figures_show_every_method():
    made = histories([0.01, 0.02])
    loss = report.loss_figure(made).axes[0]
    assert [line.get_label() for line in loss.lines] == ["classic", "annealed"]
    dots = report.accuracy_figure(made).axes[0]
    assert dots.collections[0].get_offsets().tolist() == [[4, 90], [4, 90]]
    frozen = report.frozen_figure(made).axes[0]
    assert len(frozen.lines) == 2


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
