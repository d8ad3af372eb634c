import base64
import io

import numpy as np
import pytest
from PIL import Image

from batch.data.dataset import Split
from research.figures.confusion import DARKEST, STEPS, confusion_figure, shares
from research.page import report
from research.running.mistakes import LARGEST, WORST, mistakes
from research.storage import results
from utils import History


class Says:
    """A model that says given probabilities."""

    def __init__(self, probabilities):
        self.probabilities = np.float32(probabilities)

    def predict(self, images, fetches):
        assert fetches == "output_prob"
        assert len(images) == len(self.probabilities)
        return self.probabilities


def split_of(labels, shape=(4, 4, 1)):
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] + np.zeros(shape, np.uint8)
    return Split(images, np.array(labels))


def test_mistakes_are_counted_and_the_surest_named_first():
    said = [[0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.2, 0.7], [0.7, 0.3, 0]]
    wrong = mistakes(Says(said), split_of([0, 1, 2, 1]))
    assert wrong["confusion"] == [[1, 0, 0], [2, 0, 0], [0, 0, 1]]
    assert [(each["row"], each["label"], each["said"]) for each in wrong["worst"]] == [
        (3, 1, 0),
        (1, 1, 0),
    ]
    assert wrong["worst"][0]["probability"] == pytest.approx(0.7)
    image = Image.open(io.BytesIO(base64.b64decode(wrong["worst"][0]["png"])))
    assert np.asarray(image).tolist() == [[3] * 4] * 4


@pytest.mark.parametrize("shape", [(300, 200, 3), (8, 8, 1), (8, 8, 2), (8, 8, 4)])
def test_images_of_all_kinds_are_shown_and_ten_at_most(shape):
    wrong = mistakes(Says([[0.2, 0.8]] * 12), split_of([0] * 12, shape))
    assert [each["row"] for each in wrong["worst"]] == list(range(WORST))
    image = Image.open(io.BytesIO(base64.b64decode(wrong["worst"][0]["png"])))
    assert max(image.size) == min(LARGEST, max(shape[:2]))


def test_a_network_without_mistakes_has_none():
    assert mistakes(Says([[1, 0], [0, 1]]), split_of([0, 1]))["worst"] == []


@pytest.mark.parametrize("methods", [1, 2, 7])
def test_the_page_shows_them_after_they_were_read_back(tmp_path, methods):
    wrong = mistakes(Says([[0.2, 0.8], [0.1, 0.9]]), split_of([0, 1]))
    made = [
        History(f"m{number}", 0, [1.0], [0.1], [0], 0.5 + number / 100, mistakes=wrong)
        for number in range(methods)
    ]
    settings = {"command": "compare", "seeds": [0]}
    predicted = {history.method: 1.0 for history in made}
    results.save(tmp_path, made, settings, {}, predicted, classes=["dark", "<light>"])
    histories, record = results.read(tmp_path)
    assert [history.mistakes for history in histories] == [wrong] * methods
    report.write_report(tmp_path, histories, record)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = 1 if methods == 7 else methods  # of many, the most accurate alone
    assert page.count("dark, taken for &lt;light&gt; (80.0\u00a0%)</figcaption>") == shown
    assert "<h3>m6, seed 0</h3>" in page or methods < 7
    assert page.count(">Confusion matrix</h3>") == 1


@pytest.mark.parametrize("classes", [2, 30])
def test_a_matrix_is_drawn_in_shares_with_counts_where_there_is_room(classes):
    matrix = np.eye(classes, dtype=int) * 4
    matrix[0, 1] = 12
    names = [f"class {number}" for number in range(classes)]
    figure = confusion_figure(
        {"one": matrix, "two": matrix, "three": matrix, "four": matrix}, names
    )
    axis = figure.axes[0]
    assert shares(matrix)[0, :2].tolist() == [0.25, 0.75]
    strengths = {patch.get_facecolor()[3] for patch in axis.patches}
    assert sorted(strengths) == pytest.approx(
        [DARKEST * step / STEPS for step in (16, 28, 32)]  # the root of the shares 1/4, 3/4 and 1
    )
    texts = [text.get_text() for text in axis.texts]
    assert texts == (["4", "12", "4"] if classes == 2 else [])
    assert [each.get_title() for each in figure.axes[:4]] == ["one", "two", "three", "four"]
