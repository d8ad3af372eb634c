"""The figures of a comparison, in one style: on the page, and as files for a paper.

Each module draws a figure: its `drawn(histories, record, summary)` gives a `Drawn`, or None where
there is nothing to show.
"""

from research.figures import (
    frozen,
    losses,
    mistakes,
    paired,
    rates,
    saving,
    settings,
    study,
    trade_off,
)
from research.figures.drawn import Drawn
from research.figures.svg import svg
from utils.style import PAGE, styled

__all__ = ["Drawn", "figures_of", "svg"]

FIGURES = (  # in the order of the page
    *(study, trade_off, paired, settings, losses, rates, frozen, saving, mistakes),
)


def figures_of(histories, record, summary, width=PAGE):
    """All figures that there is something to show in, in the order of the page.

    Parameters
    ----------
    histories : list of History
    record : dict
        As from `research.storage.results.read`.
    summary : DataFrame
        As from `research.verdicts.statistics.summarize`.
    width : float
        Of a figure, in inches.

    Returns
    -------
    list of Drawn
    """
    with styled(width):
        made = [module.drawn(histories, record, summary) for module in FIGURES]
    return [each for each in made if each]
