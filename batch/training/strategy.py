"""Which devices and machines train a model together: strategies of `tf.distribute`, by name."""

import functools
import json
import os

import tensorflow as tf

from batch.checks import received

NAMES = ("mirrored", "multiworker")
KINDS = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
EXAMPLE = (
    '\'{"cluster": {"worker": ["first:2222", "second:2222"]}, '
    '"task": {"type": "worker", "index": 0}}\''
)


def make_strategy(spec):
    """The strategy that a name stands for.

    Parameters
    ----------
    spec : {'mirrored', 'multiworker'}, tf.distribute.Strategy, or None
        'mirrored': all GPUs of this machine or, without GPUs, all logical processors of TensorFlow.
        'multiworker': the workers that the environment variable TF_CONFIG names, each a process
        that runs the same program. It must be made before TensorFlow computes anything.

    Returns
    -------
    tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy, or None

    Raises
    ------
    ValueError
        If it is none of these, or TF_CONFIG does not name several workers and which this is.
    """
    if spec is None or isinstance(spec, KINDS):
        return spec
    if isinstance(spec, str) and spec in NAMES:
        return _made(spec)
    raise ValueError(
        "strategy must be mirrored, multiworker, a tf.distribute.MirroredStrategy or a "
        f"tf.distribute.MultiWorkerMirroredStrategy. {received(spec)}"
    )


@functools.cache  # a process can join the other workers only once
def _made(name):
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    _check_workers(os.environ.get("TF_CONFIG"))
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            "strategy 'multiworker' must be made before TensorFlow computes anything in this "
            f"process: make the model first. Received: {error}"
        ) from error


def _check_workers(text):
    """Refuse a TF_CONFIG that does not name several workers, and which of them this is."""
    try:
        config = json.loads(text or "")
        cluster, task = config["cluster"], config["task"]
        others = set(cluster) - {"chief", "worker"}
        count = len(cluster.get("chief", ())) + len(cluster["worker"])
        place = 0 <= int(task["index"]) < len(cluster[task["type"]])
        right = not others and count > 1 and place
    except (ValueError, TypeError, KeyError, AttributeError):
        right = False
    if not right:
        raise ValueError(
            "strategy 'multiworker' needs the environment variable TF_CONFIG, which must name "
            f"several workers, and which of them this process is, as {EXAMPLE}. {received(text)}"
        )
