"""What is global to the process: TensorFlow's start, its threads, and all that we change for all.

`set_globals` makes every change that lasts. `deterministic_on_gpus` makes the one that lasts for a
training step only, and `seeded` and `names_not_kept` those that last while a network is made.
"""

import contextlib
import functools
import importlib
import os
import pathlib
import random
import sys
import threading

from batch.machine import processors

_SEEDING = threading.RLock()  # two networks made at once would disturb each other's draws
KERAS_SETTINGS = (
    "Keras' backend must be 'tensorflow', in the environment variable KERAS_BACKEND or else in "
    "keras.json, in ~/.keras or KERAS_HOME"
)
SEED_GENERATOR = "global_seed_generator"  # Keras' name of that of the process


class SettingsError(RuntimeError):
    """TensorFlow or Keras can't be used as they are set up here."""


def set_globals(*, tensorflow=False, batchflow=False, prefetch=None):
    """Change what can only be changed for the whole process; all such changes are made here.

    - On `import batch`: TensorFlow is to use oneDNN, unless `TF_ENABLE_ONEDNN_OPTS` is set. By
      itself it leaves oneDNN off where a processor has no AVX-512, and takes a third longer there.
      Without oneDNN, the last bits of what a block computes for an image can depend on the place of
      the image in its batch.
    - Before we import TensorFlow (`tensorflow`): it does not log to standard error, unless
      `TF_CPP_MIN_LOG_LEVEL` is set. What goes wrong is an exception all the same.
    - Before a pipeline uses our actions (`batchflow`): actions of BatchFlow may have an argument
      called `name`, as in `.train_res(losses, name='wide')`. Such a call was a TypeError. All other
      calls work as before.
    - Before a pipeline uses our models: what generates its batches is what `prefetch`, a function,
      makes of BatchFlow's own. It leaves alone what uses no model of ours.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if tensorflow:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if batchflow:
        _accept_name(importlib.import_module("batchflow").Pipeline)
    if prefetch:
        _prefetch_by(prefetch, importlib.import_module("batchflow.pipeline_executor"))


def _prefetch_by(prefetch, module):
    """Generate the batches of pipelines by what `prefetch` makes of BatchFlow's function."""
    generate = module.PipelineExecutor.gen_batch
    if not getattr(generate, "is_ours", False):
        module.PipelineExecutor.gen_batch = prefetch(generate)
        module.PipelineExecutor.gen_batch.is_ours = True


def _accept_name(pipeline_class):
    """Pass an action's argument `name` by a function whose own parameter is called `name`."""
    add_action = pipeline_class._add_action  # noqa: SLF001
    if getattr(add_action, "accepts_name", False):
        return

    @functools.wraps(add_action)
    def add(self, action, /, *args, **kwargs):
        named = {"name": kwargs.pop("name")} if "name" in kwargs else {}
        pipeline = add_action(self, action, *args, **kwargs)
        pipeline._actions[-1]["kwargs"].update(named)  # noqa: SLF001
        return pipeline

    add.accepts_name = True
    pipeline_class._add_action = add  # noqa: SLF001


@contextlib.contextmanager
def deterministic_on_gpus():
    """Within this context, operations on a GPU give the same bits every time.

    Afterwards TensorFlow's switch is as it was before. On processors operations give the same bits
    anyway, so nothing is switched there.
    """
    if not _has_gpu():
        yield
        return
    from tensorflow.python.framework import config  # only there can it be switched off again

    before = config.is_op_determinism_enabled()
    config.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            config.disable_op_determinism()


@contextlib.contextmanager
def seeded(seed):
    """Within this context, seeds that Keras' layers and initializers draw follow from this one.

    So do those of initializers that draw from `random`, `numpy.random` or `keras.random` without a
    seed. Afterwards these generators are as they were before.

    Parameters
    ----------
    seed : int
        0 or more.
    """
    import keras
    import numpy as np
    from keras.src.backend.common import global_state  # only there can it be put back

    first, *state = np.random.SeedSequence(seed).generate_state(5).tolist()
    with _SEEDING:
        plain, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
        own = global_state.get_global_attribute(SEED_GENERATOR)
        random.seed(first)
        np.random.seed(state)  # noqa: NPY002
        generator = keras.random.SeedGenerator(first)
        global_state.set_global_attribute(SEED_GENERATOR, generator)
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(numpys)  # noqa: NPY002
            global_state.set_global_attribute(SEED_GENERATOR, own)


@contextlib.contextmanager
def names_not_kept():
    """Within this context, TensorFlow does not keep the names of new variables for good.

    It makes each variable by an operation that it caches under the variable's name as long as the
    process lives, 0.2 MB each; and Keras numbers the layers that it names from one network to the
    next. Here all share one operation. The variables have their names all the same.
    """
    import tensorflow as tf

    def make(make_named, **settings):
        if not tf.executing_eagerly():
            return make_named(**settings)
        with tf.name_scope(settings["name"] or "Variable") as scope:
            name = scope.removesuffix("/")
        with tf.name_scope(""):
            variable = make_named(**{**settings, "name": None})
        variable._handle_name = f"{name}:0"  # noqa: SLF001
        return variable

    with tf.variable_creator_scope(make):
        yield


@contextlib.contextmanager
def own_numbers():
    """Within this context, Keras numbers the layers that it names from the beginning.

    So a network is always called the same, whatever was made before it.
    """
    from keras.src.backend.common import global_state  # only there can it be put back

    name = "object_name_uids"
    own = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(name, own)


@functools.cache
def _has_gpu():
    return bool(import_tensorflow().config.list_physical_devices("GPU"))


def import_utils():
    """Our package `utils`, unless another file of this common name comes first.

    Raises
    ------
    ImportError
        If Python found another `utils` first; the message names it.
    """
    utils = importlib.import_module("utils")
    ours = pathlib.Path(__file__).resolve().parent.parent / "utils" / "__init__.py"
    if pathlib.Path(utils.__file__ or "").resolve() != ours:
        raise ImportError(
            f"ResBatch needs its own package 'utils', but Python found {utils.__file__} first. "
            "Rename that file or start Python from another folder."
        )
    return utils


def import_tensorflow():
    """Import TensorFlow without the lines that it writes to standard error on every start.

    `TF_CPP_MIN_LOG_LEVEL=0` brings the lines back.

    Raises
    ------
    SettingsError
        If Keras can't be imported, or runs on another backend.
    """
    set_globals(tensorflow=True)
    loud = os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0" or "tensorflow" in sys.modules
    try:
        with contextlib.nullcontext() if loud else _silent_stderr():
            tensorflow = importlib.import_module("tensorflow")
        backend = importlib.import_module("keras").config.backend()
    except Exception as error:  # a backend that is not installed, or a bad keras.json: anything
        raise SettingsError(
            f"TensorFlow or Keras can't start. {KERAS_SETTINGS}. "
            f"Received: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if backend != "tensorflow":
        raise SettingsError(f"{KERAS_SETTINGS}. Received: {backend!r}")
    return tensorflow


def set_threads(threads=None):
    """Let TensorFlow use this many threads within an operation and between operations.

    The number decides the last bits of the results: runs are reproducible for the same number.

    Parameters
    ----------
    threads : int, optional
        By default the number that TensorFlow was given before, in the program or in the environment
        variable TF_NUM_INTRAOP_THREADS, or else the number of processors that the process may run
        on.

    Returns
    -------
    int
        The number in force.

    Raises
    ------
    RuntimeError
        If TensorFlow has computed something already, with another number.
    """
    threading = import_tensorflow().config.threading
    in_force = threading.get_intra_op_parallelism_threads() or _environment_threads()
    in_force = in_force or processors()
    if threads not in (None, in_force):
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
        return threads
    return in_force


def _environment_threads():
    """The threads that TensorFlow takes from the environment; 0 if it takes none from there."""
    try:
        return max(int(os.environ.get("TF_NUM_INTRAOP_THREADS", "")), 0)
    except ValueError:
        return 0


@contextlib.contextmanager
def _silent_stderr():
    try:
        saved = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
