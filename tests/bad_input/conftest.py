"""Bad values for every parameter of every public call: each is refused by name, at once.

A test module here has

- `MODULES`, whose public functions, classes and methods must be in its table;
- `CALLS`, the table: from the name of a call to the call and its valid arguments, or a function
  that makes them. The cases follow from the signatures, so a new parameter is a case by itself;
- `INTERNAL`, from names in the modules that are not in the table to the reason;
- `ACCEPTED`, from 'call.parameter', or the name of a parameter in all calls, to those of the values
  in `BAD` that are no mistake there, each with the reason;
- `CALLED`, if there are any, the names by which messages call a parameter that users know by them;
- `state`, if a call could change something: a function that describes it.
"""

import inspect
import pathlib
import re
import time
import traceback

import numpy as np
import pytest

OURS = tuple(
    str(pathlib.Path(__file__).parents[2] / name) for name in ("batch", "utils", "research")
)
SECONDS = 2
LONGEST = 500  # characters of a message
PROTOCOL = {  # of Keras' layers and of dataclasses: called with what they made themselves
    *("build", "call", "get_config", "from_config", "add_weight", "convolution_op"),
    *("branch", "shortcut", "activation", "entry", "compute_output_shape"),
}


def endless():
    """A list that contains itself."""
    values = [1]
    values.append(values)
    return values


def doubled():
    """A tuple of 2⁴⁰ leaves, which holds 40 tuples."""
    values = ()
    for _ in range(40):
        values = (values, values)
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
    "doubled tuple": doubled,
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
    entries = inspect.signature(call).parameters.values()
    return [entry.name for entry in entries if entry.kind not in variable and entry.name != "self"]


def valid_arguments(given):
    """Fresh valid arguments of a call."""
    return dict(given() if callable(given) else given)


def problem(call, arguments, parameter, called=None):
    """What is wrong with how a call refuses its arguments; 'is accepted' if it does not."""
    start = time.process_time()  # the machine may be busy with something else
    try:
        call(**arguments)
    except FileNotFoundError:  # of a path that is as paths are
        return "is accepted"
    except Exception as error:
        seconds = time.process_time() - start
        slow = f"takes {seconds:.1f} s" if seconds > SECONDS else ""
        return slow or unclear(error, called or parameter, arguments[parameter])
    return "is accepted"


def unclear(error, parameter, value):
    """What is unclear about an error; empty if nothing is."""
    from batch import TrainingError

    message, last = str(error), traceback.extract_tb(error.__traceback__)[-1]
    shown = f"{type(error).__name__} in {last.filename}:{last.lineno}: {message[:200]!r}"
    if not isinstance(error, (ValueError, TypeError, TrainingError)):
        return f"is of the wrong type: {shown}"
    if not last.filename.startswith(OURS):
        return f"comes from a library: {shown}"
    if not re.search(rf"\b({parameter})\b", message):
        return f"does not name {parameter}: {shown}"
    if (
        not ("Received" in message or (isinstance(value, str) and repr(value) in message))
        or "\n" in message
        or len(message) > LONGEST
    ):
        return f"is not one line that says what was received: {shown}"
    return ""


def faults(module, case):
    """All faults of one parameter's refusals, a line each."""
    name, parameter = case
    call, given = module.CALLS[name]
    called = getattr(module, "CALLED", {}).get(f"{name}.{parameter}", parameter)
    fine = module.ACCEPTED.get(f"{name}.{parameter}", module.ACCEPTED.get(parameter, {}))
    state = getattr(module, "state", lambda: None)
    lines = []
    for value, make in BAD.items():
        before = state()
        result = problem(call, {**valid_arguments(given), parameter: make()}, parameter, called)
        expected = "is accepted" if value in fine else ""
        if result != expected:
            lines.append(f"{name}({parameter}={value}) {result or 'is refused'}")
        if value not in fine and state() != before:
            lines.append(f"{name}({parameter}={value}) has changed something")
    return lines


def numpy_forms(value):
    """A valid number as NumPy's scalar and as an array without dimensions; an array read-only."""
    if isinstance(value, np.ndarray):
        copy = value.copy()
        copy.flags.writeable = False
        return [copy]
    if isinstance(value, (bool, int, float)):
        return [np.asarray(value)[()], np.asarray(value)]
    return []


def missing(module):
    """Names of public calls that are not in the module's table."""
    names = set()
    for source in module.MODULES:
        for name, value in vars(source).items():
            if name.startswith("_") or getattr(value, "__module__", "") != source.__name__:
                continue
            if callable(value):
                names |= {name, *(_methods(name, value) if isinstance(value, type) else ())}
    return sorted(names - set(module.CALLS) - set(module.INTERNAL))


def _methods(name, kind):
    for method, value in vars(kind).items():
        hidden = method.startswith("_") and method != "__call__"
        function = inspect.isfunction(value) or isinstance(value, classmethod)
        if function and not hidden and method not in PROTOCOL:
            called = getattr(kind, method) if isinstance(value, classmethod) else value
            if parameters(called):
                yield f"{name}.{method}"


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        calls = metafunc.module.CALLS.items()
        cases = [(name, entry) for name, (call, _) in calls for entry in parameters(call)]
        metafunc.parametrize("case", cases, ids=[".".join(case) for case in cases])


@pytest.fixture
def faults_of(request):
    """A function from a case to its faults."""
    return lambda case: faults(request.module, case)


@pytest.fixture
def missing_calls(request):
    """Public calls that are not in the module's table."""
    return missing(request.module)


@pytest.fixture
def call_with_numpys(request):
    """A function that calls with each of NumPy's forms of a parameter's valid value."""

    def call_with(case):
        name, parameter = case
        call, given = request.module.CALLS[name]
        default = inspect.signature(call).parameters[parameter].default
        for form in numpy_forms(valid_arguments(given).get(parameter, default)):
            call(**{**valid_arguments(given), parameter: form})

    return call_with
