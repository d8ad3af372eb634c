import matplotlib.pyplot as plt
import numpy as np
from batch.data.blk import read_blk, write_blk
from batch.data.history import History, by_method, compiling_seconds, read_histories, write_histories
from batch.data.labels import class_numbers, count_classes, one_hot
from batch.flops import block_costs, frozen_ratios, predicted_ratio, step_cost, BlockCost
from batch.networks.stochastic_depth import survival_probabilities
from batch.schedules import FreezeOut
from utils import ax_draw, compare_curves, draw, draw_rates, load_data
from utils.plots import ewma
from research import Experiment, Method, compare
import tempfile, os
F = tempfile.mkdtemp()
COSTS = [BlockCost(1.0, 1.0, 1.0, 1.0)] * 4
H = History("a", 0, [1.0, 2.0], [1.0, 1.0], [0, 0])
write_histories([H], F + "/h.csv"); write_blk(F + "/a.blk", np.arange(3))
import keras; NET = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
AX = plt.subplots()[1]
def config(experiment, blocks): return {}
def fresh(): return History("a", 0, [1.0], [1.0], [0])
CALLS = {
    "read_blk": (read_blk, {"path": F + "/a.blk"}),
    "write_blk": (write_blk, {"path": F + "/b.blk", "array": np.arange(3)}),
    "History": (History, {}),
    "History.append": (H.append, {"loss": 1.0, "seconds": 1.0, "frozen": 0}),
    "by_method": (by_method, {"histories": [H]}),
    "compiling_seconds": (compiling_seconds, {"history": H}),
    "write_histories": (write_histories, {"histories": [H], "path": F + "/o.csv"}),
    "read_histories": (read_histories, {"path": F + "/h.csv"}),
    "class_numbers": (class_numbers, {"labels": [0, 1, 2]}),
    "count_classes": (count_classes, {"labels": [0, 1, 2]}),
    "one_hot": (one_hot, {"labels": [0, 1, 2], "classes": 3}),
    "block_costs": (block_costs, {"network": NET}),
    "step_cost": (step_cost, {"costs": COSTS, "active": (True,) * 4}),
    "frozen_ratios": (frozen_ratios, {"costs": COSTS}),
    "predicted_ratio": (predicted_ratio, {"costs": COSTS, "schedule": FreezeOut(3, 10, 0.1), "iterations": 10}),
    "ewma": (ewma, {"values": [1.0, 2.0, 3.0], "window": 2}),
    "draw": (draw, {"first": [1.0, 2.0], "first_label": "a", "second": [1.0, 2.0], "second_label": "b", "axis": AX}),
    "ax_draw": (ax_draw, {"freeze_loss": [1.0, 2.0], "res_loss": [1.0, 2.0], "params": [1, 2, 3, True], "axis": AX}),
    "draw_rates": (draw_rates, {"schedule": FreezeOut(3, 10, 0.1), "axis": AX}),
    "compare_curves": (compare_curves, {"curves": {"a": [1.0, 2.0]}, "axis": AX}),
    "load_data": (load_data, {}),
    "Experiment": (Experiment, {}),
    "Method": (Method, {"name": "m", "config": config}),
    "compare": (compare, {"named": {}, "seeds": [0], "data": load_data()}),
}
ACCEPTED = {}

def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)
