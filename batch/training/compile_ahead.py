"""Compiling the step of the next stage beside the steps of this one, so that entering it is free.

Tracing is Python, and TensorFlow optimizes a function when it first runs. So a thread of low
priority traces the step and runs it once, on two examples, with variables of its own in place of
the model's. It changes nothing that training computes, only when.
"""

import concurrent.futures
import os
import sys

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from batch.flops import operations
from batch.runtime import free_memory
from batch.schedules import observes
from batch.schedules.stages import end_of
from batch.training.step import leading, step_key

SHARE = 0.1  # of the free memory that variables for a trial may take
LEAD = 5.0  # seconds before a stage at which its step is begun
NICE = 10  # lower priority than training's
# Stateful operations that work on variables, which a trial has its own of, or call others.
SAFE = ("Assign", "Read", "Resource", "Rng", "Stateful", "If", "While", "Placeholder", "_")


def _step_back():
    """Lower the priority of this thread, on systems where threads have priorities of their own."""
    if sys.platform == "linux":
        os.nice(NICE)


class CompileAhead:
    """Compiles steps that a trainer will need, in another thread."""

    _worker = concurrent.futures.ThreadPoolExecutor(1, initializer=_step_back)

    def __init__(self):
        self._begun = {}
        self._looked_at = None  # the last change of stages that was prepared for

    def look(self, trainer, examples, seconds):
        """Begin to compile the next stage's step, if that stage is near.

        Parameters
        ----------
        trainer : Trainer
        examples : Examples
            Of the step just made.
        seconds : float
            What that step took.
        """
        plan, schedule = trainer.plan, trainer.schedule
        change = plan.stage_end(trainer.iteration - 1)
        if change in (self._looked_at, np.inf) or (change - trainer.iteration) * seconds > LEAD:
            return
        self._looked_at = change
        if change >= end_of(schedule) or observes(schedule):  # nobody knows what comes
            return
        active = plan.active(plan.rates_at(change))
        left = plan.left_from(change)
        start, features = trainer.cache.ahead(examples, leading(active), left)
        kind = {"weighted": examples.weights is not None, "start": start}
        key = step_key(features, active, **kind)
        if key in trainer.steps:
            return

        def compiled():
            trainer.cache.prepare(start, examples)
            return trainer.steps.compiled(features, active, **kind)

        def arguments():
            two, ones = tf.constant([0, 1], tf.int64), [tf.ones(2)] * kind["weighted"]
            trial = tf.zeros((2, *features.shape[1:]), features.dtype)
            return [trial, examples.labels, two, two, tf.zeros(len(active)), tf.constant(0), *ones]

        self.begin(
            key, compiled=compiled, arguments=arguments, variables=lambda: variables_of(trainer)
        )

    def begin(self, key, *, compiled, arguments, variables):
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


def variables_of(trainer):
    """All variables that a step of a trainer may read or write."""
    slots = [slot for optimizer in trainer.optimizers for slot in optimizer.variables]
    return [variable.value for variable in (*trainer.network.variables, *slots)]


def _prepare(compiled, arguments, variables):
    step = compiled()
    stand_ins = _stand_ins(step, variables())
    if stand_ins is not None:
        step._call_flat(arguments(), [variable.handle for variable in stand_ins])  # noqa: SLF001


def _stand_ins(step, variables):
    """New variables in place of those that a step captures; None if it is not safe to try it."""
    by_handle = {variable.handle._id: variable for variable in variables}  # noqa: SLF001
    captured = [by_handle.get(handle._id) for handle in step.captured_inputs]  # noqa: SLF001
    if any(variable is None for variable in captured) or _unsafe(step):
        return None
    sizes = [variable.shape.num_elements() * variable.dtype.size for variable in captured]
    if sum(sizes) > SHARE * free_memory():
        return None
    return [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in captured]


def _unsafe(step):
    """Whether a step has operations that must not run once more."""
    kinds = operations(step.graph)
    return any(_is_stateful(kind) for kind in kinds if not kind.startswith(SAFE))


def _is_stateful(operation):
    known = op_def_registry.get(operation)
    return known is not None and known.is_stateful
