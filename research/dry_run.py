"""What a run will take, before it is run: parameters, FLOPs, when blocks freeze, saving, memory."""

from batch import flops
from batch.data.mapped import mapping_of
from batch.schedules.stages import stages
from batch.training.block_times import timed
from research import experiment as experiments
from research.methods.loading import errors_named
from research.prediction import predicted_ratio

RUNTIME = 1.0e9  # bytes that Python, TensorFlow and its compiled code take
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
