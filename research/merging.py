"""The runs of several folders of results as one comparison."""

import dataclasses
import itertools
import pathlib

from research.names import METHODS, USERS, kind
from research.results import ResultsError

FREE = ("command", "methods", "seeds")  # settings in which folders that match may differ
MACHINE = ("processor", "threads")  # and in which they must not


def together(folders, loaded):
    """The runs of several folders as one comparison, where their settings and machines match.

    Otherwise every folder's methods are named after it, nothing is compared but in figures, and the
    settings are those that all have.

    Parameters
    ----------
    folders : list of path
    loaded : list
        What `read` gives for each of them.

    Returns
    -------
    histories : list of History
    record : dict
        As if one comparison had written it: what `save` takes.

    Raises
    ------
    ResultsError
        If a folder is named twice.
    """
    records = [record for _, record in loaded]
    runs = [(one.method, one.seed) for histories, _ in loaded for one in histories]
    pairs = itertools.combinations(records, 2)
    matched = len(set(runs)) == len(runs) and all(_match(*pair) for pair in pairs)
    prefixes = ["" if matched else f"{name}: " for name in _names(folders)]
    merged = _merged(prefixes, loaded, matched)
    record = {
        "settings": _settings(records, merged, matched),
        "environment": _shared([record["environment"] for record in records]),
        "predicted_ratio": {
            prefix + label: ratio
            for prefix, record in zip(prefixes, records)
            for label, ratio in record["predicted_ratio"].items()
        },
    }
    if len(loaded) == 1 and "study" in records[0]:  # a study is about its own runs
        record["study"] = records[0]["study"]
    return merged, record


def _merged(prefixes, loaded, matched):
    """All histories, methods renamed; where they match, in the order of a comparison."""
    merged = [
        dataclasses.replace(one, method=prefix + one.method)
        for prefix, (histories, _) in zip(prefixes, loaded)
        for one in histories
    ]
    if matched:
        order = [*METHODS, *dict.fromkeys(kind(one.method) for one in merged)]
        merged.sort(key=lambda one: (one.seed, order.index(kind(one.method))))
    return merged


def _settings(records, merged, matched):
    """Settings of one comparison with the runs of several records."""
    settings = [record["settings"] for record in records]
    whole = {name: value for one in settings for name, value in one.items()}
    told = {
        **(whole if matched else _shared(settings)),
        "command": "compare",
        "methods": list(dict.fromkeys(one.method for one in merged)),
        "seeds": sorted({one.seed for one in merged}),
        **({} if matched else {"matched": False}),
    }
    if len(records) > 1:
        told.pop("study", None)
    return told


def _names(folders):
    """A name for each folder: its last part, or the whole path where others have the same."""
    paths = [pathlib.Path(folder).resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise ResultsError(f"A folder is named twice: {', '.join(map(str, folders))}")
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _match(one, other):
    """Whether runs of two records differ in nothing but their methods and seeds."""
    if any(one["environment"].get(name) != other["environment"].get(name) for name in MACHINE):
        return False
    one, other = one["settings"], other["settings"]
    used = [{kind(method) for method in settings["methods"]} for settings in (one, other)]
    compared = [
        name
        for name in {*one, *other}.difference(FREE)
        if all(kinds & USERS.get(name, kinds) for kinds in used)  # else no use for one of them
    ]
    return all(one.get(name) == other.get(name) for name in compared)


def _shared(dicts):
    """What all have, with the same value."""
    first, *others = dicts
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }
