"""The studies that `resbatch compare --study` knows: each is a module here, at one size or more.

A study's module has

- `experiments(base)`: its runs by their labels, each of which begins with its method; options of
  the command line that it takes besides are named in `OPTIONS`;
- `facts(named, costs)`: what is known of each run before it is made, for `experiment.json`;
- `table(histories, facts)`: one row per run, as a DataFrame; `DECIMALS` of its columns, by
  default 1;
- `statements(table, seeds)`: what the rows say, as a list of texts;
- `figure(table)`, with its `TITLE` and `CAPTION`.

Its settings are in `research.experiments.recipes.STUDIES`.
"""

import importlib

import numpy as np

from research.experiments.recipes import study_module


def load_study(name):
    """The module of a study."""
    return importlib.import_module(f"research.studies.{study_module(name)}")


def share_read(run):
    """Share of the features that steps of a run asked the cache for, and that were there."""
    return run.cache["hits"] / run.cache["asked"] if run.cache else 0.0


def texts(study, table):
    """The table with texts in its cells; a dash stands for what can't be known."""
    shown = table.copy().astype(object)
    for column in table.columns:
        decimals = study.DECIMALS.get(column, 1)
        shown[column] = [
            value if isinstance(value, str) else number(value, decimals) for value in table[column]
        ]
    return shown


def number(value, decimals):
    """A number as the text of a table's cell."""
    return "–" if value is None or np.isnan(value) else f"{value:.{decimals}f}"
