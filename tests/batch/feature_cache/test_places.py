import json
import os
import pathlib
import platform
import subprocess
import sys

import pytest
import tensorflow as tf

from batch.feature_cache import places

SIZES = (1, 7, 32, 50, 300)
SCRIPT = pathlib.Path(__file__).with_name("in_any_place.py")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("onednn", [1, 0])
def test_nothing_is_kept_where_bits_depend_on_the_place(onednn, threads):
    environment = {
        **os.environ,
        **{name: str(threads) for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")},
        "TF_ENABLE_ONEDNN_OPTS": str(onednn),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    if not onednn:
        environment["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # TensorFlow's own products, as without AVX-512
    command = [sys.executable, SCRIPT, str(threads)]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    found = json.loads(printed.splitlines()[-1])
    unsaid = [name for name, (differs, said) in found["kernels"].items() if differs and not said]
    assert not unsaid
    assert found["kernels"]["relu 50"] == [False, False]
    assert found["kernels"]["even 50"] == [False, False]
    assert found["kernels"]["uneven 50"][1]
    for kind in ("even", "narrow", "views", "narrow views"):
        assert all(same for same, _ in found[kind].values())
    if onednn:
        assert [read for _, read in found["even"].values()] == [6 * size for size in SIZES]
        assert [read for _, read in found["narrow"].values()] == [0, 6 * 32]
        assert found["views"]["50"][1] == 4 * 50
        assert found["narrow views"]["50"][1] == 0
    elif platform.machine() == "x86_64":
        assert found["kernels"]["dense 50"] == [True, True]


def concrete(function, *shape):
    spec = tf.TensorSpec((None, *shape), tf.float32)
    return tf.function(lambda x: (function(x), ()), input_signature=[spec]).get_concrete_function()


@pytest.mark.parametrize(
    ("function", "shape", "rest"),
    [
        (tf.exp, (3,), True),
        (tf.exp, (4, 4), False),
        (tf.nn.relu, (3,), False),
        (lambda x: x * tf.math.rsqrt(tf.constant([1.0, 2.0, 3.0])), (3,), False),
        (lambda x: tf.exp(tf.reshape(x, [-1])), (4, 4), True),  # of what size, nobody knows
        (
            tf.function(lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.tanh(x), lambda: x)),
            (16,),
            True,
        ),
    ],
)
def test_functions_that_leave_a_rest(function, shape, rest):
    graph = concrete(function, *shape).graph
    assert places.leaves_rest(graph, 5) == rest
    if shape == (3,):
        assert not places.leaves_rest(graph, 32)


@pytest.mark.parametrize(
    ("function", "same"),
    [
        (lambda x: 2 * x, True),
        (
            lambda x: x * (1 + 1e-7 * tf.cast(tf.range(tf.shape(x)[0]) == 4, tf.float32))[:, None],
            False,
        ),
        (lambda x: x / tf.cast(tf.shape(x)[0], tf.float32), False),  # by the size
        (lambda x: tf.math.log(-x), True),  # NaN everywhere
    ],
)
def test_one_example_in_every_place(function, same, monkeypatch):
    monkeypatch.setattr(places, "_tried", {})
    block, example, runs = concrete(function, 3), tf.constant([[1.0, 2.0, 3.0]]), []

    def compute():
        runs.append(True)
        return tf.concat([block(tf.repeat(example, size, axis=0))[0] for size in (5, 3)], 0)

    for _ in range(2):  # tried, and known
        assert places.same_everywhere(compute, [block.graph], example, (8, 5, 3)) == same
    assert len(runs) == 1
