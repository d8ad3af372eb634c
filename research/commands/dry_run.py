"""What a run will take, before it is run: parameters, FLOPs, when blocks freeze, saving, memory."""

import dataclasses
import statistics

import pandas as pd
from tqdm import tqdm

from batch import flops
from batch.data.mapped import mapping_of
from batch.schedules.stages import stages
from batch.training.block_times import timed
from research.experiments import experiment as experiments
from research.experiments.prediction import predicted_ratio
from research.methods.loading import errors_named
from research.running.run import Run

RUNTIME = 1.0e9  # bytes that Python, TensorFlow and its compiled code take
STEPS, WARM = 9, 3  # to make for an estimate of time, and not to count
COLUMNS = ("method", "iterations", "time / classic", "saved", "seconds a run")
SLACK = 1.4  # of the memory that activations take over what they hold, as measured


def describe(experiment, data, *, measured=False):
    """The text that `resbatch train --dry-run` prints; blocks may be measured for it."""
    model = experiments.make_model(experiment.all_learning(), data)
    costs = flops.block_costs(model.network)
    if measured:
        costs = timed(costs, model.trainer, experiment.batch_size)
    learns = experiment.learning(len(costs) - 1)
    with errors_named(experiment.trained_by):
        run = stages(model.trainer.schedule, experiment.iterations, len(costs) - 1, learns)
    lines = [
        *_network(experiment, model, costs),
        _run(experiment, data),
        f"data: {data.summary()}",
        "",
        *_blocks(model.network, costs, run, len(data.train.labels) / experiment.batch_size),
        "",
        *_savings(experiment, costs, len(data.train.labels)),
        f"memory: about {_memory(experiment, costs, data) / 1e9:.1f} GB",
    ]
    return "\n".join(lines)


def describe_all(base, named, costs, ratios, methods, seeds, data):
    """The text that `resbatch compare --dry-run` prints; a few steps are made for it.

    Parameters
    ----------
    base : Experiment
        As long as the classic run.
    named : dict from str to Experiment
    costs : dict from str to list of BlockCost
    ratios : dict from str to float or None
        Time of each run over that of a classic one.
    methods : dict
        As from `research.verdicts.labels.describe`.
    seeds : int
    data : utils.Data
    """
    first = next(iter(named.values()))
    step = _step_seconds(first.all_learning(), data)
    rows = [
        _row(label, run, ratios, methods[label]["baseline"], step * base.iterations)
        for label, run in named.items()
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    whole = seeds * sum(
        step * base.iterations * (1 if ratios[label] is None else ratios[label]) for label in named
    )
    memory = max(_memory(run, costs[label], data) for label, run in named.items())
    length = sum(run.iterations for run in named.values())
    return "\n".join(
        [
            f"data: {data.summary()}",
            f"runs: {len(named) * seeds:,} ({len(named)} methods, {seeds} seeds), "
            f"{length * seeds:,} iterations of {base.batch_size} images",
            "",
            table.to_string(index=False),
            "",
            f"time: about {tqdm.format_interval(whole)} in one process here, where a step in which "
            f"nothing is frozen takes {step:.3f} s; compilation and evaluations come to it",
            f"memory: about {memory / 1e9:.1f} GB",
        ]
    )


def _row(label, run, ratios, baseline, classic):
    """A row of the table: iterations, time over a classic run and a baseline's, and seconds."""
    ratio, usual = ratios[label], ratios.get(baseline)
    saved = f"{100 * (1 - ratio / usual):.1f} % of {baseline}" if ratio and usual else "–"
    known = "only the run can show it" if ratio is None else f"{ratio:.3f}"
    seconds = "" if ratio is None else f"{classic * ratio:,.0f}"
    return label, f"{run.iterations:,}", known, saved, seconds


def _step_seconds(experiment, data):
    """Seconds that a step takes here: the median of a few, after those that compile it."""
    lengths = {"iterations": STEPS, "freeze_iterations": None, "freeze_every": None}
    run = Run(dataclasses.replace(experiment, **lengths, cache="off"), data)
    run.advance(STEPS - 1)  # no evaluation follows
    return statistics.median(run.history.seconds[WARM:])


def _network(experiment, model, costs):
    base = experiment.base
    options = {} if base else {**model.DEFAULTS, **experiment.model_options}
    named = ", ".join(f"{key} {value}" for key, value in options.items())
    everything = (True,) * len(costs)
    forward = flops.step_cost(costs, (False,) * len(costs))
    return [
        f"network: {base or experiment.model}{', ' if named else ''}{named}",
        f"parameters: {_parameters(costs):,} in {len(costs) - 1} blocks and a classifier",
        f"FLOPs of an image: {2 * forward / 1e6:,.1f} M forward, "
        f"{2 * flops.step_cost(costs, everything) / 1e6:,.1f} M in a training step "
        "(2 a multiply-add; convolutions and matrix products)",
    ]


def _run(experiment, data):
    rows = len(data.train.labels)
    epochs = experiment.iterations * experiment.batch_size / rows
    return (
        f"run: {experiment.label}, {experiment.iterations:,} iterations of "
        f"{experiment.batch_size}, {epochs:.4g} epochs of {rows:,} images of {data.name}"
    )


def _blocks(network, costs, run, epoch):
    """One line per block: its size and cost, when it stops, and what a step costs from then on."""
    steps = flops.measured(costs)
    whole = flops.step_cost(steps, (True,) * len(costs), dropping=False)
    lines = [
        f"{'block':<14}{'parameters':>11}{'MFLOPs':>9}{'frozen from':>13}{'epoch':>8}{'step':>8}"
    ]
    for block, (layer, cost) in enumerate(zip(network.layers, costs)):
        line = f"{layer.name:<14}{cost.parameters:>11,}{2 * cost.forward / 1e6:>9.2f}"
        stop = next((stage for stage in run if not stage.active[block]), None)
        if stop is None:
            lines.append(f"{line}{'–':>13}")
            continue
        ratio = flops.step_cost(steps, stop.active) / whole
        lines.append(f"{line}{stop.start:>13,}{stop.start / epoch:>8.2f}{ratio:>8.3f}")
    return lines


def _savings(experiment, costs, examples):
    ratio = predicted_ratio(experiment, costs, examples=examples)
    saving = "what freezes depends on the run" if ratio is None else f"{100 * (1 - ratio):.1f} %"
    if costs[0].seconds:
        saving += ", from blocks as measured"
    lines = [f"predicted saving: {saving}"]
    if experiment.trained_by.estimate:
        lines.append(f"published estimate: {experiment.trained_by.estimate(experiment)}")
    return lines


def _memory(experiment, costs, data):
    """Bytes that training takes at its peak, roughly.

    Weights, their gradients and momenta; what all blocks hold for the backward pass of a batch, and
    twice the most that one of them holds, for what it works with; the images, in the program and on
    the device, but for those in mapped files.
    """
    held = [cost.held for cost in costs]
    every = data.train.images, data.test.images
    images = sum(images.nbytes for images in every if mapping_of(images) is None)
    return (
        RUNTIME
        + 3 * 4 * _parameters(costs)
        + SLACK * experiment.batch_size * (sum(held) + 2 * max(held))
        + 2 * images
    )


def _parameters(costs):
    return sum(cost.parameters for cost in costs)
