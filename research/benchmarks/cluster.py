"""A study of 10,000 runs on 100 nodes, simulated on Ray: what its driver has to bear.

100 workers on this machine stand for the nodes. Their runs sleep, and send histories, mistakes and
checkpoints of real size; all else is the code of the engine. The driver's memory is beside 2 GB,
what a tenth of the study takes beside all of it. What a lost node costs is computed: the work since
its last checkpoint, the time until Ray notices, and the restart of a seed, which is measured.
"""

import functools
import tempfile
import time

import numpy as np

from batch.runtime import set_threads
from research.benchmarks.cluster_runs import METHODS
from research.benchmarks.harness import Part, compared, not_measured
from research.benchmarks.processes import Process, environment
from research.running.callbacks import SECONDS

RUNS, NODES, ITERATIONS, IMAGES = 10_000, 100, 1000, 60_000
QUICK = {"runs": 100, "nodes": 2, "iterations": 100}
DISK = 100  # megabytes a second
LIMIT = 2000  # megabytes of memory that the driver may take
LOST_EVERY = 600  # seconds from one lost node to the next
HERE = "research.benchmarks.cluster_runs"


def parts(quick=False):
    """The study, and the loss of a node; quick, a small study."""
    sizes = {"runs": RUNS, "nodes": NODES, "iterations": ITERATIONS, **(QUICK if quick else {})}
    study = Part("study", functools.partial(_study_rows, **sizes), 10 if quick else 360, 0, most=1)
    lost = functools.partial(_lost_rows, nodes=NODES)
    return [study] if quick else [study, Part("a lost node", lost, 30, 0, most=1)]


def _study_rows(*_, runs, nodes, iterations):
    case = {"runs": runs, "nodes": nodes, "iterations": iterations, "images": IMAGES}
    if not _has_ray():
        return [not_measured("study", "Ray is not installed")]
    with Process(f"{HERE}:study", case, environment(set_threads())) as run:
        tenth, whole = run()
    what = f"{runs:,} runs of {iterations:,} iterations, {nodes} nodes"
    sent = nodes * len(METHODS), whole["checkpoint"]
    return [
        _row(f"{what}: driver, memory at most", whole["driver"], "limit", LIMIT, "MB"),
        *(
            _row(
                f"{what}: {text}", whole[name], f"{runs // 10:,} runs", tenth[name], unit, expected
            )
            for name, text, unit, expected in (
                ("driver", "driver, memory at most", "MB", 10),
                ("objects", "object store at most", "MB", 1),
                ("csv", "results.csv", "MB", 10),
                ("write", "writing the results", "s", 10),
                ("read", "reading them", "s", 10),
                ("page", "drawing the page", "s", 10),
            )
        ),
        _row(
            f"{what}: results that can be kept, a second",
            runs / whole["study"],
            "made by runs of a minute",
            nodes / 60,
            "runs",
        ),
        _row(
            f"checkpoints of {sent[0]} runs under way, {sent[1]:.1f} MB each",
            *(sent[0] * sent[1] / SECONDS, "a slow disk", DISK, "MB/s"),
            note=f"every {SECONDS} s",
        ),
    ]


def _lost_rows(*_, nodes):
    restart = _restart()
    notice = _seconds_to_notice()
    lost = SECONDS / 2 + notice + restart
    note = f"{SECONDS / 2:.0f} s since the last checkpoint, {notice:.0f} s until Ray notices"
    what = f"a node of {nodes} lost every {LOST_EVERY} s"
    return [
        _row("restart of a seed from its checkpoint", restart, "a checkpoint's turn", SECONDS, "s"),
        _row(what, lost, "node-seconds until the next", nodes * LOST_EVERY, "s", note=note),
    ]


def _restart():
    """Seconds from the start of a process to the next iteration of a run from its checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        return [_timed_process(folder, iterations) for iterations in (5, 6)][-1]


def _timed_process(folder, iterations):
    start = time.perf_counter()
    case = {"folder": folder, "iterations": iterations}
    with Process(f"{HERE}:restarted", case, environment(1)) as run:
        made = run()
        seconds = time.perf_counter() - start
    if made != iterations:
        raise RuntimeError(f"{made} iterations are kept, not {iterations}")
    return seconds


def _seconds_to_notice():
    """After how many seconds Ray takes a node that does not answer for lost, by its defaults."""
    if not _has_ray():
        return 0
    from ray._raylet import Config

    each = Config.health_check_period_ms() + Config.health_check_timeout_ms()
    return Config.health_check_failure_threshold() * each / 1000


def _has_ray():
    try:
        import ray  # noqa: F401
    except ImportError:
        return False
    return True


def _row(what, ours, peer, theirs, unit, expected=None, note=""):
    return compared(what, np.array([ours]), peer, np.array([theirs]), expected, note, unit)
