"""Compiling the next stage's step beside the steps of this one, so that no step waits for it.

TensorFlow traces a step in Python and optimizes it when it first runs. So a thread of low priority
traces the step and runs it once, on two examples, with variables of its own in place of the
model's. This changes nothing that training computes.
"""

import concurrent.futures
import os
import sys

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from batch import machine
from batch.flops import operations
from batch.machine import free_memory
from batch.schedules import observes
from batch.schedules.stages import end_of
from batch.training.step import leading, step_key

# Stateful operations that may run once more: they work on variables, of which a trial has its own,
# or only call other operations.
SAFE = ("Assign", "Read", "Resource", "Rng", "Stateful", "If", "While", "Placeholder", "_")


def _lower_priority():
    """Lower the priority of this thread, where threads have priorities of their own."""
    if sys.platform == "linux":
        os.nice(machine.COMPILE_NICENESS)


class CompileAhead:
    """Compiles steps that a trainer will need, in another thread."""

    _worker = concurrent.futures.ThreadPoolExecutor(1, initializer=_lower_priority)

    def __init__(self):
        self._started = {}  # futures by the keys of their steps
        self._prepared = None  # the last iteration with a new stage that was prepared for

    def prepare_next(self, trainer, examples, seconds):
        """Start to compile the next stage's step, if that stage is near.

        Parameters
        ----------
        trainer : Trainer
        examples : Examples
            Of the step just made.
        seconds : float
            How long that step took.
        """
        plan, schedule = trainer.plan, trainer.schedule
        change = plan.stage_end(trainer.iteration - 1)
        if change in (self._prepared, np.inf):
            return
        if (change - trainer.iteration) * seconds > machine.COMPILE_LEAD:
            return
        self._prepared = change
        if change >= end_of(schedule) or observes(schedule):  # what comes is not known
            return
        active = plan.active(plan.rates_at(change))
        left = plan.left_from(change)
        start, features = trainer.cache.preview(examples, leading(active), left)
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
            drawn_from = trainer.preprocessing.drawn_from
            drawn = tf.zeros([size or 2 for size in drawn_from.shape], drawn_from.dtype)
            return [trial, examples.labels, two, two, tf.zeros(len(active)), drawn, *ones]

        self.start(
            key, compiled=compiled, arguments=arguments, variables=lambda: variables_of(trainer)
        )

    def start(self, key, *, compiled, arguments, variables):
        """Start to compile a step, unless that was done before.

        Parameters
        ----------
        key : hashable
            Names the step.
        compiled : callable
            Takes no arguments and returns the compiled step.
        arguments : callable
            Takes no arguments and returns those of a trial.
        variables : callable
            Takes no arguments and returns all variables that the step may read or write.
        """
        if key not in self._started:
            self._started[key] = self._worker.submit(_compile, compiled, arguments, variables)

    def wait(self, key):
        """Wait until a step is compiled, if the other thread is at it."""
        started = self._started.get(key)
        if started and not started.cancel():
            # An error there is not raised: if it comes again in the step itself, it is raised then.
            concurrent.futures.wait([started])

    def settle(self):
        """Wait until all steps that were started are compiled."""
        concurrent.futures.wait(self._started.values())


def variables_of(trainer):
    """All variables that a step of a trainer may read or write."""
    slots = [slot for optimizer in trainer.optimizers for slot in optimizer.variables]
    return [variable.value for variable in (*trainer.network.variables, *slots)]


def _compile(compiled, arguments, variables):
    """Compile a step and, if that is safe, run it once on variables of its own."""
    step = compiled()
    stand_ins = _stand_ins(step, variables())
    if stand_ins is not None:
        step._call_flat(arguments(), [variable.handle for variable in stand_ins])  # noqa: SLF001


def _stand_ins(step, variables):
    """New variables in place of those that a step captures; None if a trial is not safe."""
    by_handle = {variable.handle._id: variable for variable in variables}  # noqa: SLF001
    captured = [by_handle.get(handle._id) for handle in step.captured_inputs]  # noqa: SLF001
    if any(variable is None for variable in captured) or _unsafe(step):
        return None
    sizes = [variable.shape.num_elements() * variable.dtype.size for variable in captured]
    if sum(sizes) > machine.TRIAL_SHARE * free_memory():
        return None
    return [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in captured]


def _unsafe(step):
    """Whether a step has operations that must not run in a trial."""
    kinds = operations(step.graph)
    return any(_is_stateful(kind) for kind in kinds if not kind.startswith(SAFE))


def _is_stateful(operation):
    known = op_def_registry.get(operation)
    return known is not None and known.is_stateful
