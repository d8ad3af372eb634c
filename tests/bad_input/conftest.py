"""Bad values for every parameter of every public call: each is refused, by name, and at once.

A test module here has `CALLS`, from the name of a call to the call and its valid arguments (or a
function that makes them), and `ACCEPTED`, from 'call.parameter' or a parameter's name to those of
the values below that are no mistake there, each with its reason. The cases follow from signatures.
"""

import inspect
import pathlib
import re
import time
import traceback

import numpy as np
import pytest

OURS = [str(pathlib.Path(__file__).parents[2] / name) for name in ("batch", "utils", "research")]
SECONDS = 2


def endless():
    """A list that contains itself."""
    values = [1]
    values.append(values)
    return values


BAD = {
    "None": lambda: None,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: -float("inf"),
    "minus one": lambda: -1,
    "minus a half": lambda: -0.5,
    "zero": lambda: 0,
    "a half": lambda: 0.5,
    "huge whole": lambda: 10**30,
    "huge float": lambda: 1e300,
    "unprintable whole": lambda: 10**5000,
    "True": lambda: True,
    "text of a number": lambda: "3",
    "empty text": lambda: "",
    "bytes": lambda: b"3",
    "complex": lambda: 3j,
    "empty list": list,
    "empty dict": dict,
    "list of text": lambda: ["x"],
    "list of None": lambda: [None],
    "uneven list": lambda: [[1, 2], [3]],
    "endless list": endless,
    "generator": lambda: (number for number in (1, 2)),
    "object": object,
    "class": lambda: dict,
    "set": lambda: {1, 2},
    "empty array": lambda: np.array([]),
    "array of objects": lambda: np.array([object(), None]),
    "array of text": lambda: np.array(["a", "b"]),
    "array of NaN": lambda: np.full(3, np.nan),
    "array of negatives": lambda: np.array([-1, -2, -3]),
    "array of complex": lambda: np.array([1j, 2j, 3j]),
    "array of length 7": lambda: np.arange(1.0, 8.0),
    "array of six dimensions": lambda: np.ones((2,) * 6),
}


def parameters(call):
    """Names of a call's parameters."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    signature = inspect.signature(call).parameters.values()
    return [entry.name for entry in signature if entry.kind not in variable and entry.name != "self"]


def valid_arguments(given):
    """Fresh valid arguments of a call."""
    return dict(given() if callable(given) else given)


def problem(call, arguments, parameter):
    """What is wrong with how a call refuses its arguments; 'accepted' if it does not refuse them."""
    start = time.perf_counter()
    try:
        call(**arguments)
    except Exception as error:
        seconds = time.perf_counter() - start
        return f"takes {seconds:.1f} s" if seconds > SECONDS else unclear(error, parameter)
    return "accepted"


def unclear(error, parameter):
    """What is unclear about an error; empty if nothing is."""
    from batch.training.trainer import TrainingError

    message, last = str(error), traceback.extract_tb(error.__traceback__)[-1]
    shown = f"{type(error).__name__} in {last.filename}:{last.lineno}: {message[:200]!r}"
    if not isinstance(error, (ValueError, TypeError, TrainingError)):
        return f"of the wrong type: {shown}"
    if not last.filename.startswith(tuple(OURS)):
        return f"from a library: {shown}"
    if not re.search(rf"\b{re.escape(parameter)}\b", message):
        return f"does not name {parameter}: {shown}"
    if "Received" not in message or "\n" in message or len(message) > 500:
        return f"is not one line that says what was received: {shown}"
    return ""


def faults(module, case):
    """All faults of one parameter's refusals, a line each."""
    name, parameter = case
    shown = getattr(module, "CALLED", {}).get(".".join(case), parameter)
    call, given = module.CALLS[name]
    fine = module.ACCEPTED.get(f"{name}.{parameter}", module.ACCEPTED.get(parameter, {}))
    state = getattr(module, "state", lambda: None)
    lines = []
    for value, make in BAD.items():
        before = state()
        result = problem(call, {**valid_arguments(given), parameter: make()}, shown)
        expected = "accepted" if value in fine else ""
        if result != expected:
            lines.append(f"{name}({parameter}: {value}) {result or 'is refused'}")
        if state() != before:
            lines.append(f"{name}({parameter}: {value}) changed something")
    return lines


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        calls = metafunc.module.CALLS.items()
        cases = [(name, entry) for name, (call, _) in calls for entry in parameters(call)]
        metafunc.parametrize("case", cases, ids=[".".join(case) for case in cases])


@pytest.fixture
def faults_of(request):
    """A function from a case to its faults."""
    return lambda case: faults(request.module, case)
