import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from research.figures import figures_of, paired, svg
from research.figures.files import rendered, write_figures
from research.figures.svg import VARIABLES, css
from research.storage.folders import ResultsError
from research.verdicts.statistics import summary_of
from utils import History
from utils.palette import looks_of
from utils.style import COLUMN, PAGE, styled

ALL = ["frontier", "paired", "loss", "rates", "frozen", "saving", "confusion"]
FOREIGN = "$\\frac{x} <script>&\"'"
SECONDS = {"classic": 4.0, "annealed": 2.0, FOREIGN: 3.0}


def facts(names, baseline):
    return {
        name: {
            **{"method": name, "baseline": baseline if name != baseline else None},
            **{"action": "train_res", "options": []},
        }
        for name in names
    }


def run(method, seed, iterations, accuracy, blocks=3):
    frozen = [iteration * blocks // iterations for iteration in range(iterations)]
    made = History(method, seed, rates=[], accuracy=accuracy)
    for iteration, count in enumerate(frozen):
        rate = 0.1 * (1 - iteration / iterations)
        seconds = SECONDS.get(method, 1.0) * (1 + 0.1 * seed) / iterations
        made.append(2.0 / (iteration + 1 + seed), seconds, count if method != "classic" else 0)
        rates = [rate * (block >= made.frozen[-1]) for block in range(blocks)]
        made.append_rates([*rates, rate])
    made.mistakes = {"confusion": np.diag([3] * 4).tolist(), "worst": []} if seed == 0 else None
    return made


def comparison(names=("classic", "annealed", FOREIGN), seeds=3, iterations=40):
    """Histories, record and summary of methods with accuracies of 0.90, 0.92, 0.94, …."""
    histories = [
        run(name, seed, iterations, 0.9 + 0.02 * (place % 5) + 0.001 * seed * (1 + place % 5))
        for seed in range(seeds)
        for place, name in enumerate(names)
    ]
    record = {
        "settings": {"margin": 0.5},
        "predicted_ratio": {name: 1.0 - 0.2 * (name != names[0]) for name in names},
        "methods": facts(names, names[0]),
        "classes": ["a", "<b>", "$c$", "d"],
    }
    return histories, record, summary_of(histories, record)


@pytest.fixture(scope="module")
def drawn():
    return {each.name: each for each in figures_of(*comparison())}


def test_figures_stand_in_the_order_of_the_page(drawn):
    assert list(drawn) == ALL
    assert all(each.title and each.caption for each in drawn.values())


def test_accuracy_stands_against_time_with_intervals_on_both(drawn):
    data = drawn["frontier"].data.set_index("method")
    assert data.loc["classic", "seconds"] == pytest.approx(4.4)
    assert data.loc["classic", "accuracy, %"] == pytest.approx(90.1)
    # ± t(0.975, 2) · s/√3: 4.303 · 0.4/√3 of the seconds, 4.303 · 0.1/√3 of the accuracy
    assert data.loc["classic", "seconds high"] == pytest.approx(4.4 + 0.9937, abs=1e-3)
    assert data.loc["classic", "accuracy low"] == pytest.approx(90.1 - 0.2484, abs=1e-3)
    assert data["frontier"].to_dict() == {"classic": False, "annealed": True, FOREIGN: True}
    assert "annealed: 92.20 % after 2.2 s, on the frontier." in drawn["frontier"].text


def test_differences_are_there_seed_by_seed_with_mean_and_margin(drawn):
    data = drawn["paired"].data
    own = data[data["method"] == "annealed"].set_index("seed")
    assert own["difference, points"].to_dict() == pytest.approx({0: 2, 1: 2.1, 2: 2.2, "mean": 2.1})
    assert own.loc["mean", "low"] == pytest.approx(2.1 - 0.2484, abs=1e-3)
    axis = drawn["paired"].figure.axes[0]
    assert [-0.5, -0.5] in [list(line.get_xdata()) for line in axis.lines]  # the margin
    assert "loses less than 0.5 points" in drawn["paired"].caption
    assert "annealed over classic: +2.10 points, +1.85 to +2.35, over 3 seeds." in (
        drawn["paired"].text
    )


def test_savings_stand_measured_beside_predicted(drawn):
    row = drawn["saving"].data.set_index("method").loc["annealed"]
    assert row[["measured, %", "predicted, %"]].tolist() == pytest.approx([50, 20])
    assert np.isnan(row["low"])  # all seeds agree
    assert "annealed over classic: 50.0 %; predicted 20.0 %." in drawn["saving"].text


def test_losses_are_faint_and_averages_strong(drawn):
    axis = drawn["loss"].figure.axes[0]
    faint, strong = axis.lines[:2]
    assert (faint.get_alpha(), strong.get_alpha()) == (0.3, None)
    assert faint.get_linewidth() < strong.get_linewidth()
    assert len(axis.collections) == 3  # bands
    assert "span 20" in axis.get_ylabel()
    data = drawn["loss"].data
    first = data[(data["method"] == "classic") & (data["iteration"] == 0)].iloc[0]
    assert first["average"] == pytest.approx((2 + 1 + 2 / 3) / 3)
    assert first["deviation"] == pytest.approx(np.std([2, 1, 2 / 3], ddof=1))


def test_rates_are_steps_that_end_where_blocks_freeze(drawn):
    axes = drawn["rates"].figure.axes
    assert [axis.get_title() for axis in axes] == ["classic", "annealed", FOREIGN]
    assert len([line for line in axes[0].lines if len(line.get_xdata())]) == 1  # all are the same
    ends = {
        max(line.get_xdata()[np.isfinite(line.get_ydata())])
        for line in axes[1].lines
        if len(line.get_xdata())
    }
    assert ends == {14, 27, 40}
    data = drawn["rates"].data.set_index(["method", "iteration"])
    assert data.loc[("annealed", 14)].tolist() == pytest.approx([0.0, 0.065, 0.065])


def test_what_freezes_nothing_is_said_not_drawn(drawn):
    assert set(drawn["frozen"].data["method"]) == {"annealed", FOREIGN}
    assert "Nothing is frozen by classic." in drawn["frozen"].caption
    data = drawn["frozen"].data
    own = data[(data["method"] == "annealed") & (data["seed"] == 0)]
    assert own[["iteration", "frozen"]].to_numpy().tolist() == [[0, 0], [14, 1], [27, 2], [39, 2]]


def test_a_method_looks_the_same_in_all_figures(drawn):
    looks = looks_of(["classic", "annealed", FOREIGN])
    for name in ("frontier", "loss", "frozen"):
        figure = drawn[name].figure
        handles = figure.legends[0].legend_handles
        for text, handle in zip(figure.legends[0].get_texts(), handles):
            look = looks[text.get_text()]
            assert (handle.get_color(), handle.get_marker()) == (look.colour, look.marker) or (
                handle.get_markerfacecolor() == look.colour
            )


def test_data_are_csv_for_a_link(drawn):
    for each in drawn.values():
        head, content = each.data_uri.split(",")
        assert head == "data:text/csv;base64"
        again = pd.read_csv(io.BytesIO(base64.b64decode(content)))
        assert list(again) == list(map(str, each.data))
        assert len(again) == len(each.data)


def test_an_svg_says_what_it_shows_and_follows_light_and_dark(drawn):
    page = "".join(svg(each.figure, each.text) for each in drawn.values())
    tree = ET.fromstring(f"<page>{page}</page>")
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)|href=\"#([^\"]*)\"", page)) - {("", "")}
    assert {
        one or other for one, other in re.findall(r"url\(#([^)]*)\)|href=\"#([^\"]*)", page)
    } <= set(ids)
    for element, each in zip(tree, drawn.values()):
        assert element.get("role") == "img"
        title, text = element[:2]
        assert (title.text, text.text) == (each.caption, each.text)
        assert element.get("aria-labelledby").split() == [title.get("id"), text.get("id")]
    assert "<script" not in page
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]*)", page)) <= {
        "none",
        *(f"var({name}, {light})" for name, (light, _) in VARIABLES.items()),
    }
    light, dark = css().split("@media screen and (prefers-color-scheme: dark)")
    assert all(f"{name}: {pair[0]};" in light for name, pair in VARIABLES.items())
    assert all(f"{name}: {pair[1]};" in dark for name, pair in VARIABLES.items())


@pytest.mark.parametrize("width", [PAGE, COLUMN])
@pytest.mark.parametrize(
    ("names", "seeds", "iterations", "expected"),
    [
        (["classic"], 1, 1, ["loss", "rates", "confusion"]),
        (["classic", "annealed"], 1, 1, [name for name in ALL if name != "frozen"]),
        ([f"{FOREIGN} {'long ' * 30}", "b"], 2, 5, ALL),
        ([f"m{number}, t_0 0.{number}" for number in range(20)], 1, 5, ALL),
    ],
)
@pytest.mark.filterwarnings("error")
def test_any_comparison_can_be_drawn(names, seeds, iterations, expected, width):
    made = figures_of(*comparison(names, seeds, iterations), width)
    assert [each.name for each in made] == expected
    for each in made:
        assert each.figure.get_figwidth() == width
        each.figure.draw_without_rendering()


def test_what_older_runs_do_not_say_is_left_out():
    histories, record, summary = comparison()
    for history in histories:
        history.rates = history.mistakes = None
    names = [each.name for each in figures_of(histories, record, summary)]
    assert names == [name for name in ALL if name not in ("rates", "confusion")]
    record["methods"] = facts(["classic", "annealed", FOREIGN], None)
    names = [each.name for each in figures_of(histories, record, summary_of(histories, record))]
    assert names == ["frontier", "loss", "frozen"]  # nothing is compared


@pytest.mark.parametrize("kind", ["pdf", "png", "svg"])
def test_figures_for_a_paper_are_files_with_their_data(drawn, tmp_path, kind):
    made = [drawn["frontier"], drawn["paired"]]
    place = write_figures(tmp_path, made, kind)
    assert place == tmp_path / "figures"
    files = {path.name: path.read_bytes() for path in place.iterdir()}
    assert sorted(files) == sorted(f"{e.name}.{end}" for e in made for end in ("csv", kind))
    assert files[f"paired.{kind}"].startswith(
        {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?x"}[kind]
    )
    assert files["paired.csv"].decode() == made[1].csv


@pytest.mark.parametrize("kind", ["pdf", "png", "svg"])
def test_the_same_results_give_the_same_files(kind):
    files = []
    for _ in range(2):
        with styled(COLUMN):
            files.append(rendered(paired.drawn(*comparison()).figure, kind))
    assert files[0] == files[1]


def test_no_figures_go_where_a_link_points(drawn, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match="figures is a symbolic link, so it is left alone"):
        write_figures(tmp_path, [drawn["loss"]], "svg")
    assert not any((tmp_path / "elsewhere").iterdir())
