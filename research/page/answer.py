"""What the page begins with: which method to use, and the verdict on each."""

import dataclasses
from typing import NamedTuple

import numpy as np

from research.names import MARGIN
from research.verdicts.choice import choice
from research.verdicts.statements import judged, reached, remarks
from research.verdicts.verdict import BETTER, NO_WORSE, WORSE

KINDS = {BETTER: "better", NO_WORSE: "no-worse", WORSE: "worse"}  # how a verdict looks


class Line(NamedTuple):
    """What is said of a method: of what, the verdict if there is any, and what it rests on."""

    subject: str
    verdict: str = ""
    basis: str = ""
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer: a sentence, a line a method, and notes on what they are worth."""

    heading: str
    lead: str
    lines: list
    notes: list


def answer_of(summary, settings):
    """The answer of a comparison, or of a single run.

    Parameters
    ----------
    summary : DataFrame
        As from `research.verdicts.statistics.summarize`.
    settings : dict
        Of the record.
    """
    margin = settings.get("margin", MARGIN)
    compared = (summary.pairs > 0).any()
    alone = len(summary) == 1 and summary.seeds[0] == 1
    heading = "Which method to use" if compared else "What the runs gave"
    notes = reached(summary, settings.get("target"))
    return Answer(
        heading="What the run gave" if alone else heading,
        lead=choice(summary, margin),
        lines=[] if alone else _lines(summary, margin),
        notes=notes + remarks(summary, margin, settings.get("test_images")),
    )


def answer_of_study(texts, notes):
    """The answer of a study, by its own statements: the first of them leads."""
    lead, *others = texts
    return Answer("What the study says", lead, [Line(text) for text in others], notes)


def _lines(summary, margin):
    verdicts = {line.method: line for line in judged(summary, margin)}
    baselines = {line.baseline for line in verdicts.values()}
    return [_line(row, verdicts.get(row.method), baselines) for _, row in summary.iterrows()]


def _line(row, judged_so, baselines):
    deviation = "" if np.isnan(row.accuracy_std) else f" ± {100 * row.accuracy_std:.2f}"
    cost = f"{100 * row.accuracy_mean:.2f}{deviation} % accuracy, {row.seconds_mean:.1f} s a run."
    if judged_so is None:
        return Line(f"{row.method}:", "a baseline" if row.method in baselines else "", cost)
    kind = next((kind for verdict, kind in KINDS.items() if row.verdict == verdict), "unknown")
    subject = f"{row.method} against {judged_so.baseline}:"
    return Line(subject, judged_so.verdict, f"{judged_so.basis} {cost}", kind)
