"""What runs should take, before they are run: counted from the FLOPs of their networks."""

import dataclasses

import numpy as np

from batch import flops
from batch.models.named import MODELS
from batch.schedules import make_schedule, observes
from batch.schedules.freezeout import calc_speedup
from research.experiment import make_model


def costs(experiments, data):
    """What the blocks of each experiment's network cost, by the experiment's label.

    Parameters
    ----------
    experiments : dict from str to Experiment
    data : utils.Data

    Returns
    -------
    dict from str to list of BlockCost
    """
    counted, labelled = {}, {}
    for label, one in experiments.items():
        survival = one.survival if one.kind == "stochastic" else None
        network = (one.model, tuple(sorted(one.model_options.items())), survival)
        if network not in counted:
            counted[network] = flops.block_costs(make_model(one, data).network)
        labelled[label] = counted[network]
    return labelled


def predicted_ratio(experiment, costs, iterations=None):
    """Time of a run over that of a classic one, as the FLOPs of its stages predict it.

    None for a schedule that looks at training: only the run will tell.

    Parameters
    ----------
    experiment : Experiment
    costs : list of BlockCost
        As from `batch.flops.block_costs`.
    iterations : int, optional
        Of the classic run; as many as the experiment's by default.
    """
    schedule = experiment.schedule() or ("Constant", {"learning_rate": 1})
    made = make_schedule(schedule, len(costs) - 1)
    if observes(made):
        return None
    ratio = flops.predicted_ratio(costs, made, experiment.iterations)
    return ratio * experiment.iterations / (iterations or experiment.iterations)


def told_ratio(histories, costs):
    """The same ratio for runs that are over, from the FLOPs of what was frozen in them.

    Parameters
    ----------
    histories : list of History
        Runs of one method, as long as the classic one, in which only leading blocks were frozen.
    costs : list of BlockCost
    """
    steps = flops.frozen_ratios(costs)
    return float(np.mean([steps[history.frozen].mean() for history in histories]))


def equal_time(experiment, costs):
    """The experiment with as many iterations as take a classic run's time, by their FLOPs.

    A schedule that ends before the run ends as much later as the run is longer.
    """
    longer = experiment
    for _ in range(3):  # stretched, a schedule saves nearly the same share
        iterations = round(experiment.iterations / predicted_ratio(longer, costs))
        freeze = experiment.freeze_iterations
        if freeze:
            freeze = round(freeze * iterations / experiment.iterations)
        longer = dataclasses.replace(longer, iterations=iterations, freeze_iterations=freeze)
    return longer


def published_estimate(experiment):
    """The saving that FreezeOut's authors estimate for a DenseNet-BC; None for other networks."""
    options = {**MODELS[experiment.model].DEFAULTS, **experiment.model_options}
    if experiment.model != "densenet" or not options["bottleneck"] or options["compression"] != 0.5:
        return None
    network = options["growth_rate"], options["depth"]
    return calc_speedup(*network, experiment.t_0, experiment.how_scale)
