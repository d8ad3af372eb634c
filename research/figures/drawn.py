"""A figure with all that goes with it."""

import base64
import dataclasses

import pandas as pd
from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A figure, what it says in words, and its data.

    Attributes
    ----------
    name : str
        A file's stem, as 'loss'.
    title : str
    text : str
        What the figure shows, for those who can't see it: in the first line how to read it, then a
        line a method.
    figure : matplotlib.figure.Figure
    data : pandas.DataFrame
        What is drawn.
    """

    name: str
    title: str
    text: str
    figure: Figure
    data: pd.DataFrame

    @property
    def caption(self):
        """How to read the figure: the first line of its text."""
        return self.text.partition("\n")[0]

    @property
    def csv(self):
        """Its data, with six digits of each number."""
        return self.data.to_csv(index=False, float_format="%.6g")

    @property
    def data_uri(self):
        """The same, for a link on the page."""
        return f"data:text/csv;base64,{base64.b64encode(self.csv.encode()).decode()}"
