"""The tables of a comparison, as texts: on the page, and on the terminal."""

import numpy as np
import pandas as pd

from batch.data.history import by_method
from research.studies import number
from research.verdicts.verdict import FEW

COLUMNS = (
    *("method", "accuracy, %", "seconds", "time / baseline", "predicted"),
    *("difference", "verdict"),
)
CACHE_COLUMNS = (
    "kept of frozen blocks",
    "examples asked for",
    "found, %",
    "at most, MB",
    "estimated saving, s",
)


def tables_of(histories, summary):
    """The tables of texts: what the methods reached, and what their caches held."""
    made = []
    if len(summary):
        made.append(pd.DataFrame(table_rows(summary), columns=COLUMNS))
    if any(history.cache for history in histories):
        made.append(pd.DataFrame(cache_rows(histories), columns=CACHE_COLUMNS))
    return made


def cache_rows(histories):
    """One row per method that cached what frozen blocks compute: means over its runs, as texts."""
    rows = []
    for method, runs in by_method(histories).items():
        caches = [run.cache for run in runs if run.cache]
        if caches:
            asked, hits, held, saved = (
                np.mean([cache[name] for cache in caches])
                for name in ("asked", "hits", "bytes", "seconds_saved")
            )
            share = f"{100 * hits / asked:.1f}"
            rows.append((method, f"{asked:.0f}", share, f"{held / 1e6:.0f}", f"{saved:.1f}"))
    return rows


def table_rows(summary):
    """The summary as the texts of a table's cells, within 100 columns; a dash is an unknown value.

    Time, measured and predicted, and difference are to the baseline. What to do where nobody can
    tell stands in the statements.
    """
    predicted = dict(zip(summary.method, summary.predicted_ratio))
    return [
        (
            row.method,
            f"{100 * row.accuracy_mean:.2f}"
            + _after(row.accuracy_std, f" ± {100 * row.accuracy_std:.2f}"),
            f"{row.seconds_mean:.1f}",
            _ratio(row),
            number(row.predicted_ratio / predicted.get(row.baseline, np.nan), 2),
            _after(row.difference, f"{100 * row.difference:+.2f} pt") or "–",
            row.verdict.partition(" (")[0] if row.pairs else "–",
        )
        for _, row in summary.iterrows()
    ]


def _ratio(row):
    """The ratio of time with its interval or, over few seeds, a warning in its place."""
    ratio = number(row.time_ratio, 2)
    if np.isnan(row.time_ratio):
        return ratio
    if row.pairs < FEW:
        return f"{ratio} (few seeds)"
    return ratio + _after(row.time_low, f" ({row.time_low:.2f}–{row.time_high:.2f})")


def _after(value, text):
    """The text, if the value is known."""
    return "" if np.isnan(value) else text
