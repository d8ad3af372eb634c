"""Compiling the step of the next stage beside the steps of this one, so that entering it is free.

Tracing is Python, and TensorFlow optimizes a function when it first runs. So a thread of low
priority traces the step and runs it once, on two examples, with variables of its own in place of
the model's. It changes nothing that training computes, only when.
"""

import concurrent.futures
import os
import sys

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from batch.flops import operations
from batch.runtime import free_memory

SHARE = 0.1  # of the free memory that variables for a trial may take
LEAD = 5.0  # seconds before a stage at which its step is begun
NICE = 10  # lower priority than training's
# Stateful operations that work on variables, which a trial has its own of, or call others.
SAFE = ("Assign", "Read", "Resource", "Rng", "Stateful", "If", "While", "Placeholder", "_")


def _step_back():
    """Lower the priority of this thread, on systems where threads have priorities of their own."""
    if sys.platform == "linux":
        os.nice(NICE)


class Ahead:
    """Steps that are being compiled for later."""

    _worker = concurrent.futures.ThreadPoolExecutor(1, initializer=_step_back)

    def __init__(self):
        self._begun = {}

    def begin(self, key, compiled, arguments, variables):
        """Begin to compile a step, unless that was done before.

        Parameters
        ----------
        key : hashable
            Names the step.
        compiled : callable
            Without arguments, to the compiled step.
        arguments : callable
            Without arguments, to what it is tried with.
        variables : callable
            Without arguments, to all variables that the step may read or write.
        """
        if key not in self._begun:
            self._begun[key] = self._worker.submit(_prepare, compiled, arguments, variables)

    def wait(self, key):
        """Wait until a step is compiled, if that is under way."""
        begun = self._begun.get(key)
        if begun and not begun.cancel():
            # What went wrong there will go wrong, or not, where it is needed.
            concurrent.futures.wait([begun])

    def settle(self):
        """Wait until all that was begun is compiled."""
        concurrent.futures.wait(self._begun.values())


def _prepare(compiled, arguments, variables):
    step = compiled()
    stand_ins = _stand_ins(step, variables())
    if stand_ins is not None:
        step._call_flat(arguments(), [one.handle for one in stand_ins])  # noqa: SLF001


def _stand_ins(step, variables):
    """New variables in place of those that a step captures; None if it is not safe to try it."""
    by_handle = {variable.handle._id: variable for variable in variables}  # noqa: SLF001
    captured = [by_handle.get(one._id) for one in step.captured_inputs]  # noqa: SLF001
    if any(one is None for one in captured) or _unsafe(step):
        return None
    if sum(one.shape.num_elements() * one.dtype.size for one in captured) > SHARE * free_memory():
        return None
    return [tf.Variable(tf.zeros_like(one), trainable=False) for one in captured]


def _unsafe(step):
    """Whether a step has operations that must not run once more."""
    return any(_is_stateful(one) for one in operations(step.graph) if not one.startswith(SAFE))


def _is_stateful(operation):
    known = op_def_registry.get(operation)
    return known is not None and known.is_stateful
