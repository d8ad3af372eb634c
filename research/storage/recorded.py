"""What `experiment.json` must hold, so that no other reader of it has to ask."""

import pathlib
import re

from batch import checks
from batch.files import from_json, read_text
from research.experiments.recipes import STUDIES

PLAIN = (bool, int, float, str)
RATES = re.compile(r"\d\S*( \d\S*)*")  # of 0 or more
BASE64 = re.compile(r"[A-Za-z0-9+/]*=*")


def read_record(folder):
    """The contents of `experiment.json` in a folder.

    Raises
    ------
    ValueError, TypeError, KeyError
        If they are not as `research.storage.results.save` writes them.
    OSError
        If there is no such file.
    """
    return _dict("experiment.json", from_json(read_text(pathlib.Path(folder, "experiment.json"))))


def checked(record):
    """The record of a comparison or a run, if it is one."""
    settings = _dict("settings", record["settings"])
    checks.text("settings/command", settings["command"])
    _texts("settings/methods", settings.get("methods", []))
    for seed in checks.instance("settings/seeds", settings.get("seeds", []), list, "a list"):
        checks.whole("settings/seeds", seed)
    for name in ("margin", "target", "test_images"):
        checks.optional(checks.positive, f"settings/{name}", settings.get(name))
    if "study" in settings:
        checks.one_of("settings/study", settings["study"], tuple(STUDIES))
    _dict("environment", record["environment"])
    for label, ratio in _dict("predicted_ratio", record["predicted_ratio"]).items():
        checks.optional(checks.not_negative, f"predicted_ratio/{checks.name_of(label)}", ratio)
    for label, facts in _dict("methods", record.get("methods") or {}).items():
        _check_facts(f"methods/{checks.name_of(label)}", facts)
    for label, settings in _dict("in_force", record.get("in_force") or {}).items():
        _dict(f"in_force/{checks.name_of(label)}", settings)
    for label, values in _dict("grid", record.get("grid") or {}).items():
        for name, value in _dict(f"grid/{checks.name_of(label)}", values).items():
            checks.instance(f"grid/{checks.name_of(name)}", value, PLAIN, "a number or a text")
    if record.get("classes") is not None:
        _texts("classes", record["classes"])
    for run in checks.instance("runs", record["runs"], list, "a list"):
        _check_run(_dict("runs", run))
    return record


def _check_facts(name, facts):
    _dict(name, facts)
    for key in ("method", "baseline", "action"):
        checks.optional(checks.text, f"{name}/{key}", facts[key])
    _texts(f"{name}/options", facts["options"])


def _check_run(run):
    checks.text("runs/method", run["method"])
    checks.whole("runs/seed", run["seed"])
    checks.optional(checks.probability, "runs/accuracy", run["accuracy"])
    checks.optional(_dict, "runs/cache", run.get("cache"))
    if run.get("target") is not None:
        seconds = _dict("runs/target", run["target"])["seconds"]
        checks.optional(checks.not_negative, "runs/target/seconds", seconds)
    if run.get("rates") is not None:
        _check_rates(_dict("runs/rates", run["rates"]))
    mistakes = run.get("mistakes")
    if mistakes is None:
        return
    _texts("runs/mistakes/confusion", _dict("runs/mistakes", mistakes)["confusion"])
    for wrong in checks.instance("runs/mistakes/worst", mistakes["worst"], list, "a list"):
        if not BASE64.fullmatch(checks.text("png", _dict("runs/mistakes/worst", wrong)["png"])):
            raise ValueError(f"png must be in base64. {checks.received(wrong['png'])}")


def _check_rates(rates):
    """Refuse what is not from iterations, in their order, to as many rates each time."""
    starts = [int(start) for start in rates if start.isdecimal()]
    whole = [RATES.fullmatch(checks.text("runs/rates", row)) for row in rates.values()]
    counts = {len(row.split()) for row in rates.values()}
    if (
        not rates
        or not all(whole)
        or len(counts) > 1
        or starts != sorted(set(starts))
        or len(starts) < len(rates)
    ):
        raise ValueError(
            "runs/rates must be from iterations, in their order, to the rates of all blocks. "
            f"{checks.received(rates)}"
        )


def _dict(name, value):
    return checks.instance(name, value, dict, "a dict")


def _texts(name, values):
    for value in checks.instance(name, values, list, "a list of texts"):
        checks.text(name, value)
