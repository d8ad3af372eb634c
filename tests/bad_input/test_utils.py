import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

import utils.plots
from batch import FreezeOut, flops
from batch.data import blk, history
from batch.data.history import History
from batch.flops import BlockCost
from utils import ax_draw, compare_curves, draw, draw_rates

MODULES = (blk, history, flops, utils.plots)
COSTS = [BlockCost(1.0, 1.0, 1.0, 1.0)] * 4
SCHEDULE = FreezeOut(3, 10, 0.1)
HISTORY = History("a", 0, [1.0, 2.0], [1.0, 1.0], [0, 0])
NETWORK = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
LOSSES = np.array([2.0, 1.0])
CURVES = {"first": LOSSES, "first_label": "a", "second": LOSSES, "second_label": "b"}
PARAMETERS = [1, 300, 0.04, False]


def axis():
    return plt.subplots()[1]


CALLS = {
    "read_blk": (blk.read_blk, {"path": "a.blk"}),
    "write_blk": (blk.write_blk, {"path": "b.blk", "array": np.arange(3)}),
    "History": (History, {}),
    "History.append": (HISTORY.append, {"loss": 1.0, "seconds": 1.0, "frozen": 0}),
    "History.append_rates": (HISTORY.append_rates, {"rates": [0.1, 0.1]}),
    "by_method": (history.by_method, {"histories": [HISTORY]}),
    "compiling_seconds": (history.compiling_seconds, {"history": HISTORY}),
    "write_histories": (history.write_histories, {"histories": [HISTORY], "path": "h.csv"}),
    "read_histories": (history.read_histories, {"path": "a.csv"}),
    "block_costs": (flops.block_costs, {"network": NETWORK}),
    "step_cost": (flops.step_cost, {"costs": COSTS, "active": (True,) * 4}),
    "frozen_ratios": (flops.frozen_ratios, {"costs": COSTS}),
    "predicted_ratio": (
        flops.predicted_ratio,
        {"costs": COSTS, "schedule": SCHEDULE, "iterations": 10},
    ),
    "ewma": (utils.plots.ewma, {"values": LOSSES, "window": 2}),
    "draw": (draw, lambda: {**CURVES, "axis": axis()}),
    "ax_draw": (
        ax_draw,
        lambda: {
            **{"freeze_loss": LOSSES, "res_loss": LOSSES},
            **{"params": PARAMETERS, "axis": axis()},
        },
    ),
    "draw_rates": (draw_rates, lambda: {"schedule": SCHEDULE, "axis": axis()}),
    "compare_curves": (compare_curves, lambda: {"curves": {"a": LOSSES}, "axis": axis()}),
}
RESULTS = "what the functions here give, not take"
INTERNAL = {
    **dict.fromkeys(("BlockCost", "Forward", "BlkError"), RESULTS),
    **dict.fromkeys(("forward", "forward_of", "measured", "operations"), "called by ours alone"),
    **dict.fromkeys(("read_checked", "warn_unchecked"), "called by ours alone"),
    **dict.fromkeys(("averages", "draw_average"), "called by ours alone"),
}
NUMBER = {"a half": "a number"}
TEXT = {"text of a number": "a text"}
NUMBERS = dict.fromkeys(("array of negatives", "array of length 7"), "numbers to draw")
EMPTY = {"empty list": "no iteration yet"}
DEFAULT = {"None": "the default"}
ACCEPTED = {
    "path": {"text of a number": "a path"},
    "write_blk.array": {
        **dict.fromkeys(("empty list", "empty array"), "an array without numbers is one"),
        **dict.fromkeys(("array of NaN", "array of negatives"), "any numbers can be kept"),
        **dict.fromkeys(("array of length 7", "array of six dimensions"), "in any shape"),
    },
    "History.method": {**TEXT, "empty text": "the default"},
    "History.seed": {"zero": "a seed"},
    **{f"History.{name}": EMPTY for name in ("loss", "seconds", "frozen")},
    "History.accuracy": {**NUMBER, "None": "not known yet, the default", "zero": "none is right"},
    "History.cache": {"None": "no cache, the default", "empty dict": "nothing is known of it"},
    "History.mistakes": {"None": "not looked for, the default", "empty dict": "nothing is known"},
    "History.rates": {"None": "not known, the default", **EMPTY},
    "History.target": {"None": "there is none, the default", "empty dict": "nothing is known"},
    "History.append_rates.rates": {"array of length 7": "of seven blocks"},
    "History.append.loss": {
        **dict.fromkeys(("minus one", "minus a half", "zero", "a half"), "a loss of the user's"),
        **dict.fromkeys(("huge whole", "huge float"), "float64 holds it"),
    },
    "History.append.seconds": {
        **{**NUMBER, "zero": "a clock may be coarse"},
        "huge whole": "as long as the universe may last",
    },
    "History.append.frozen": {"zero": "nothing is frozen"},
    "step_cost.dropping": {"True": "true or false"},
    **dict.fromkeys(("values", "first", "second", "freeze_loss", "res_loss"), NUMBERS),
    **dict.fromkeys(("first_label", "second_label", "type_data"), TEXT),
    **dict.fromkeys(("axis", "bound", "learns"), DEFAULT),
}


def state():
    return repr(HISTORY)


@pytest.fixture(autouse=True)
def _in_a_folder_with_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blk.write_blk("a.blk", np.arange(3))
    history.write_histories([HISTORY], "a.csv")
    del HISTORY.loss[2:], HISTORY.seconds[2:], HISTORY.frozen[2:]
    yield
    plt.close("all")


def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)


def test_numpys_numbers_are_numbers(case, call_with_numpys):
    call_with_numpys(case)


def test_every_public_call_is_in_the_table(missing_calls):
    assert not missing_calls


@pytest.mark.parametrize(
    ("call", "curves"),
    [(draw, {"first": [1.0, np.nan], "first_label": "a"}), (compare_curves, {"curves": {"a": []}})],
)
def test_no_figure_is_made_for_what_can_not_be_drawn(call, curves):
    with pytest.raises(ValueError, match="must be finite numbers"):
        call(**curves)
    assert not plt.get_fignums()
