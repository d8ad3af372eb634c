"""What the labels in a table stand for: the method of each, what it is compared with, and so on.

It stands in `experiment.json`, so that a report needs no file of the user's. Folders written before
it did have labels that begin with a method of ours, as in 'freezeout cubic, scaled, t_0 0.8'.
"""

from research.methods import METHODS
from research.methods.loading import digest
from research.methods.options import SHARED

UNKNOWN = {"method": None, "baseline": None, "action": None, "options": list(SHARED)}


def describe(experiments):
    """What to record of each experiment of a comparison.

    Parameters
    ----------
    experiments : dict from str to Experiment
        By their labels.

    Returns
    -------
    dict from str to dict
        For each label its `method`, as `--methods` takes it, the `baseline` as a label (of a run
        with the same optimizer and, if there is one, the same settings), its `action`, the names of
        the `options` that it reads and, of a user's own method, the `sha256` of its file.
    """
    return {
        label: _facts(experiment.trained_by, _baseline(experiment, experiments))
        for label, experiment in experiments.items()
    }


def _baseline(experiment, experiments):
    """The label of an experiment's baseline: of its settings, or else the first; or its name."""
    name = experiment.trained_by.baseline
    labels = [
        label
        for label, other in experiments.items()
        if other.label == name and str(other.optimizer) == str(experiment.optimizer)
    ]
    matched = [label for label in labels if _agree(experiment, experiments[label])]
    return (matched or labels or [name])[0]


def _agree(experiment, baseline):
    """Whether a baseline has the settings of an experiment, of all that it reads."""
    names = baseline.trained_by.options
    return all(getattr(experiment, name) == getattr(baseline, name) for name in names)


def files_of(methods):
    """Which files the methods of a user's own are from: texts of labels and hashes.

    Parameters
    ----------
    methods : dict
        As from `describe`.
    """
    return [
        f"{label} {facts['sha256'][:12]}" for label, facts in methods.items() if "sha256" in facts
    ]


def facts_of(labels, recorded=None):
    """What is known of labels: what was recorded, or what our methods say of themselves.

    Parameters
    ----------
    labels : iterable of str
    recorded : dict, optional
        The `methods` of an `experiment.json`.

    Returns
    -------
    dict from str to dict
        As from `describe`.
    """
    recorded = recorded or {}
    return {label: recorded.get(label) or _of_ours(label) for label in labels}


def _of_ours(label):
    method = METHODS.get(label.split(" ")[0])
    return _facts(method, method.baseline) if method else UNKNOWN


def _facts(method, baseline):
    own = digest(method)
    return {
        "method": method.source or method.name,
        "baseline": baseline,
        "action": method.action,
        "options": list(method.options),
        **({} if own is None else {"sha256": own}),
    }
