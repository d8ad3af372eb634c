import batch.data.data
import batch.data.history
import batch.schedules.freezeout

from .plots import ax_draw, compare_curves, draw, draw_rates

Data = batch.data.data.Data
DataError = batch.data.data.DataError
History = batch.data.history.History
calc_speedup = batch.schedules.freezeout.calc_speedup
load_data = batch.data.data.load_data

__all__ = [
    "Data",
    "DataError",
    "History",
    "ax_draw",
    "calc_speedup",
    "compare_curves",
    "draw",
    "draw_rates",
    "load_data",
]
