"""Tables of the page about how the runs were made: methods, settings, versions."""

from research.methods import METHODS
from research.page import Table

ABSENT = "–"
MOST_COLUMNS = 6  # of methods; more have a row each


def method_table(methods):
    """What each method is.

    Parameters
    ----------
    methods : dict from str to dict
        As from `research.verdicts.labels.facts_of`.
    """
    rows = {}
    for label, facts in methods.items():
        method = METHODS.get(facts["method"])
        if method:
            rows[method.name] = (method.name, method.about, method.paper or ABSENT)
        elif facts["method"]:
            digest = f"SHA-256 {facts['sha256']}" if "sha256" in facts else ABSENT
            rows[facts["method"]] = (label, f"a method of {facts['method']}", digest)
    columns = "method", "what it is", "source"
    return (
        [Table("What each method is", columns, list(rows.values()), kind="facts")] if rows else []
    )


def setting_tables(record):
    """The settings in force, those that methods share apart, and what was asked for.

    Parameters
    ----------
    record : dict
        As from `research.storage.results.read`; older ones don't have what was in force.
    """
    asked = {name: _text(value) for name, value in record["settings"].items()}
    command = asked.get("command", "")
    return [
        *_in_force({label: _flat(own) for label, own in (record.get("in_force") or {}).items()}),
        _facts(f"What resbatch {command} was asked for", "option", asked),
    ]


def machine_table(record):
    """Versions and machine."""
    facts = {name: _text(value) for name, value in record["environment"].items()}
    return [_facts("Versions, processor and memory", "what", facts)] if facts else []


def _in_force(own):
    """Two tables: what is the same for all, and the rest."""
    if not own:
        return []
    names = list(dict.fromkeys(name for settings in own.values() for name in settings))
    values = {name: [settings.get(name, ABSENT) for settings in own.values()] for name in names}
    shared = {name: row[0] for name, row in values.items() if len(set(row)) == 1}
    differing = [(name, *row) for name, row in values.items() if name not in shared]
    caption = "In force, defaults included"
    alike = f"{caption}: the same for all methods" if len(own) > 1 else caption
    made = [_facts(alike, "setting", shared)] if shared else []
    if differing:
        rows = [("setting", *own), *differing]
        if len(own) > MOST_COLUMNS:
            rows = list(zip(*rows))
        caption += ": where methods differ"
        made.append(Table(caption, rows[0], rows[1:], kind="facts"))
    return made


def _facts(caption, head, facts):
    return Table(caption, (head, "value"), list(facts.items()), kind="facts")


def _flat(settings, prefix=""):
    """Nested settings as texts, by names as 'optimizer: momentum'."""
    made = {}
    for name, value in settings.items():
        words = prefix + str(name).replace("_", " ")
        if isinstance(value, dict):
            whole = {words: _text(value["name"])} if "name" in value else {}
            rest = {key: value[key] for key in value if key != "name"}
            made |= whole | _flat(rest, f"{words}: ")
        else:
            made[words] = _text(value)
    return made


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
