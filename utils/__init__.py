"""What every experiment shares: data, histories and plots."""

from utils.data import Data, DataError, load_data
from utils.history import History
from utils.plots import ax_draw, compare_curves, draw, draw_rates

__all__ = [
    "Data",
    "DataError",
    "History",
    "ax_draw",
    "compare_curves",
    "draw",
    "draw_rates",
    "load_data",
]
