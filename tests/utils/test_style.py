import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from utils.beside import label_points
from utils.palette import INK
from utils.style import COLUMN, PAGE, legend, logarithmic, new_figure, new_rows, short_name, styled

LONG = "a name of a method with all its settings, of which there are many, and of its folder, too"


@pytest.fixture(params=[PAGE, COLUMN], autouse=True)
def width(request):
    with styled(request.param):
        yield request.param


def inside(figure, artist):
    """Whether all of an artist is in its figure."""
    box, whole = artist.get_window_extent(), figure.bbox
    return whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1


def test_the_style_is_ours_and_ends(width):
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        before = dict(matplotlib.rcParams)
        with styled(width):
            figure, axis = new_figure()
        assert dict(matplotlib.rcParams) == before
    assert figure.get_figwidth() == width
    assert axis.get_facecolor()[:3] == (1, 1, 1)
    assert axis.xaxis.label.get_color() == INK[0]
    assert axis.xaxis.label.get_fontsize() == (10 if width == PAGE else 8)


@pytest.mark.parametrize("names", [["a"], [LONG, "b"], [f"method {n}" for n in range(20)]])
def test_a_legend_is_whole_and_covers_nothing(names):
    figure, axis = new_figure()
    height = figure.get_figheight()
    legend(figure, [axis.plot([1, 2])[0] for _ in names], names)
    (made,) = figure.legends
    figure.draw_without_rendering()
    assert inside(figure, made)
    assert made.get_window_extent().y1 <= axis.get_tightbbox().y0 + 1
    assert axis.get_window_extent().height > 0.6 * 0.6 * height * figure.dpi


def test_a_legend_of_nothing_is_none():
    figure, _ = new_figure()
    legend(figure, [], [])
    assert not figure.legends


@pytest.mark.parametrize("names", [["a"], [LONG, f"{LONG}\nover {LONG}"], ["$x$"] * 20])
def test_rows_have_room_for_their_names(names):
    figure, axis = new_rows(names)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axis.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
    assert all(inside(figure, label) for label in axis.get_yticklabels())
    assert axis.get_window_extent().width > 0.4 * figure.bbox.width


def test_long_names_lose_their_middle():
    assert short_name("a\n  b") == "a b"
    assert short_name(" ") == "' '"
    shown = short_name(LONG, 20)
    assert "…" in shown
    assert max(map(len, shown.splitlines())) <= 20
    assert shown.startswith("a name of a method")


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(1, 2, False), (0, 9, False), (-1, 1, False), (1, 4, True), (1e-9, 1, True)],
)
def test_wide_ranges_are_logarithmic_with_plain_numbers(low, high, log):
    figure, axis = new_figure()
    assert logarithmic(axis, "y", low, high) is log
    axis.set_ylim(low, high)
    figure.draw_without_rendering()
    assert axis.get_yscale() == ("log" if log else "linear")
    shown = [label.get_text() for label in axis.get_yticklabels()]
    assert len([text for text in shown if text]) >= 2
    assert not log or "mathdefault" not in "".join(shown)


def test_texts_beside_points_keep_off_each_other():
    figure, axis = new_figure()
    places = np.array([(1, 1), (1.1, 1), (1.05, 1.02), (3, 3)])
    axis.plot(*places.T, "o")
    label_points(axis, places, ["one of them", "another", "a third", "far"])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axis.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    assert not plt.get_fignums()
