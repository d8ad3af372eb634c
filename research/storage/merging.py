"""The runs of several folders of results as one comparison."""

import dataclasses
import itertools
import operator
import pathlib

from batch.data.history import by_method
from research.experiments.cache_memory import alike
from research.methods import METHODS
from research.methods.options import SHARED
from research.storage.results import ResultsError
from research.verdicts.labels import facts_of

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
    runs = [(run.method, run.seed) for histories, _ in loaded for run in histories]
    pairs = itertools.combinations(loaded, 2)
    matched = len(set(runs)) == len(runs) and not any(_differences(*pair) for pair in pairs)
    prefixes = ["" if matched else f"{name}: " for name in _names(folders)]
    merged = _merged(prefixes, loaded, matched)
    methods = _methods(prefixes, loaded, matched)
    record = {
        **_shared([{key: own[key] for key in ("data",) if key in own} for own in records]),
        "settings": _settings(records, merged, methods, matched),
        "environment": _shared([record["environment"] for record in records]),
        **{name: _of_labels(name, prefixes, records) for name in ("predicted_ratio", "in_force")},
        "methods": methods,
    }
    if len(loaded) == 1 and "study" in records[0]:  # a study is about its own runs
        record["study"] = records[0]["study"]
    return merged, record


def joined(folders, loaded):
    """The runs of comparisons on other seeds, made on any machines, as one comparison.

    Parameters
    ----------
    folders, loaded
        As for `together`.

    Returns
    -------
    histories : list of History
    record : dict
        As if one comparison had written it: what `save` takes. Its environment names every machine.

    Raises
    ------
    ResultsError
        If they differ in anything else, share a seed, or are no comparisons.
    """
    _names(folders)
    for folder, (_, record) in zip(folders, loaded):
        settings = record["settings"]
        if settings["command"] != "compare" or settings.get("matched") is False:
            raise ResultsError(f"{folder} holds no comparison, as resbatch compare writes it")
    for pair in itertools.combinations(zip(folders, loaded), 2):
        _check_joinable(*pair)
    merged = [run for histories, _ in loaded for run in histories]
    merged.sort(key=operator.attrgetter("seed"))
    seed = merged[0].seed  # whose mistakes a comparison has
    merged = [
        run if run.seed == seed else dataclasses.replace(run, mistakes=None) for run in merged
    ]
    records = [record for _, record in loaded]
    first, *_ = records
    record = {
        **{name: value for name, value in _shared(records).items() if name != "runs"},
        "in_force": first.get("in_force", {}),
        "settings": {**first["settings"], "seeds": sorted({run.seed for run in merged})},
        "environment": _machines([record["environment"] for record in records]),
        "predicted_ratio": _mean_ratios([record["predicted_ratio"] for record in records]),
    }
    return merged, record


def _check_joinable(ours, theirs):
    """Refuse two folders, each with what was read of it, that are no parts of one comparison."""
    (folder, own), (other, loaded) = ours, theirs
    which = f"{folder} and {other} can't be joined: "
    seeds = [{run.seed for run in histories} for histories, _ in (own, loaded)]
    if twice := sorted(set.intersection(*seeds)):
        raise ResultsError(f"{which}both have seed {', '.join(map(str, twice))}")
    labels = [list(by_method(histories)) for histories, _ in (own, loaded)]
    settings = [record["settings"] | record["environment"] for _, record in (own, loaded)]
    names = [name for name in _differences(own, loaded) if name != "processor"]
    shown = [f"{name} ({' and '.join(str(some.get(name)) for some in settings)})" for name in names]
    if labels[0] != labels[1]:
        shown.insert(0, f"methods ({' and '.join(map(', '.join, labels))})")
    if shown:
        raise ResultsError(f"{which}they differ in {'; '.join(shown)}")


def _machines(environments):
    """One environment: where several differ, what each of them says."""
    names = {name: None for environment in environments for name in environment}
    return {
        name: "; ".join(dict.fromkeys(str(own[name]) for own in environments if name in own))
        for name in names
    }


def _mean_ratios(ratios):
    """Predicted ratios of time; their means, where they were made from measured costs."""
    return {
        label: None if None in (own := [some[label] for some in ratios]) else sum(own) / len(own)
        for label in ratios[0]
    }


def _merged(prefixes, loaded, matched):
    """All histories, methods renamed; where they match, in the order of a comparison."""
    merged = [
        dataclasses.replace(run, method=prefix + run.method)
        for prefix, (histories, _) in zip(prefixes, loaded)
        for run in histories
    ]
    if matched:
        order = [*METHODS, *dict.fromkeys(_first_word(run.method) for run in merged)]
        merged.sort(key=lambda run: (run.seed, order.index(_first_word(run.method))))
    return merged


def _of_labels(name, prefixes, records):
    """What the records say of each label under a name; older ones may say nothing."""
    return {
        prefix + label: value
        for prefix, record in zip(prefixes, records)
        for label, value in record.get(name, {}).items()
    }


def _methods(prefixes, loaded, matched):
    """What the labels stand for; without baselines where nothing is compared."""
    methods = {
        prefix + label: facts
        for prefix, (histories, record) in zip(prefixes, loaded)
        for label, facts in _facts(histories, record).items()
    }
    if matched:
        return methods
    return {label: {**facts, "baseline": None} for label, facts in methods.items()}


def _facts(histories, record):
    return facts_of(by_method(histories), record.get("methods"))


def _first_word(label):
    """The method that a label begins with, as in 'freezeout cubic, t_0 0.8'."""
    return label.split(" ")[0]


def _settings(records, merged, methods, matched):
    """Settings of one comparison with the runs of several records."""
    settings = [record["settings"] for record in records]
    whole = {name: value for own in settings for name, value in own.items()}
    together = {
        **(whole if matched else _shared(settings)),
        "command": "compare",
        "methods": [_as_given(label, methods) if matched else label for label in by_method(merged)],
        "seeds": sorted({run.seed for run in merged}),
        **({} if matched else {"matched": False}),
    }
    if len(records) > 1:
        together.pop("study", None)
    return together


def _as_given(label, methods):
    """A label as `--methods` takes it: a method of a user's own by its file or module."""
    source = methods[label]["method"]
    return source if source and ":" in source else label


def _names(folders):
    """A name for each folder: its last part, or the whole path where others have the same."""
    paths = [pathlib.Path(folder).resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise ResultsError(f"A folder is named twice: {', '.join(map(str, folders))}")
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _differences(folder, other):
    """Names of what the runs of two folders differ in, but for their methods and seeds."""
    records = [record for _, record in (folder, other)]
    ours, theirs = (record["environment"] for record in records)
    machine = [name for name in MACHINE if ours.get(name) != theirs.get(name)]
    methods = [_facts(*loaded) for loaded in (folder, other)]
    files = [  # of methods of a user's own that have one name, and are not the same
        f"the file of {label}"
        for label in set.intersection(*map(set, methods))
        if methods[0][label].get("sha256") != methods[1][label].get("sha256")
    ]
    ours, theirs = (record["settings"] for record in records)
    read = [
        {name for facts in every.values() for name in facts["options"]}
        | ({"cache"} & settings.keys())
        for every, settings in zip(methods, (ours, theirs))
    ]
    compared = [
        name
        for name in {*ours, *theirs}.difference(FREE)
        if name not in SHARED or all(name in options for options in read)  # else of no use to one
    ]
    same = {"cache": alike, **dict.fromkeys(("margin", "target"), _agree)}
    for name, hashes in (
        ("data", [record.get("data_sha256") for record in records]),
        ("base", [settings.get("base_sha256") for settings in (ours, theirs)]),
    ):
        if None not in hashes:  # they are the same wherever they lie
            same[name] = lambda *_, hashes=hashes: operator.eq(*hashes)
    settings = [
        name
        for name in sorted(compared)
        if not same.get(name, operator.eq)(ours.get(name), theirs.get(name))
    ]
    return machine + files + settings


def _agree(*values):
    """Whether a setting that not every command has is the same in those that have it."""
    return None in values or operator.eq(*values)


def _shared(dicts):
    """The entries that are the same in all dicts."""
    first, *others = dicts
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }
