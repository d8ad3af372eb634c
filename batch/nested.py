"""How much lists within lists hold: some that are small hold more than could ever be looked at."""

import contextlib
import math

from batch.shown import received

MOST_OF_CONFIG, MOST_OF_ARRAY = 10**6, 10**9  # values
_NESTED = (list, tuple, dict)


def leaves(value, counted=None):
    """How many values are in lists, tuples and dicts within each other; infinite if in itself.

    What is in several places is counted in each, but looked at once: a tuple may have 2⁴⁰ leaves.
    """
    counted = {} if counted is None else counted
    if id(value) not in counted:
        counted[id(value)] = math.inf  # until it is known
        items = value.values() if isinstance(value, dict) else value
        total = len(items)
        if any(issubclass(kind, _NESTED) for kind in set(map(type, items))):
            total += sum(leaves(item, counted) for item in items if isinstance(item, _NESTED))
        counted[id(value)] = total
    return counted[id(value)]


def countable(name, value, most=MOST_OF_ARRAY):
    """Refuse lists, tuples or dicts that hold more values than could ever be looked at."""
    if not isinstance(value, _NESTED):
        return
    with contextlib.suppress(RecursionError):  # whoever goes into it says so
        if most < (count := leaves(value)) < math.inf:
            raise ValueError(f"{name} holds {count:,} values, {most:,} at most. {received(value)}")
