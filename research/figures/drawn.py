"""A figure with all that goes with it."""

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
        What the figure shows, for those who can't see it; its first sentence says how to read it.
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
        """How to read the figure: the text without what it says of each method."""
        return self.text.partition("\n")[0]
