"""What runs should take, before they are run: counted from the FLOPs of their networks."""

import dataclasses

from batch import flops
from batch.config import make_schedule
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
    counted, labelled = [], {}
    for label, one in experiments.items():
        network = (one.model, one.model_options, one.kind == "stochastic" and one.survival)
        known = [found for seen, found in counted if seen == network]
        if not known:
            known = [flops.block_costs(make_model(one, data).network)]
            counted.append((network, known[0]))
        labelled[label] = known[0]
    return labelled


def predicted_ratio(experiment, costs, iterations=None):
    """Time of a run over that of a classic one, as the FLOPs of its stages predict it.

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
    ratio = flops.predicted_ratio(costs, made, experiment.iterations)
    return ratio * experiment.iterations / (iterations or experiment.iterations)


def equal_time(experiment, costs):
    """The experiment with as many iterations as take a classic run's time, by their FLOPs."""
    longer = experiment
    for _ in range(50):  # at once where the schedule ends with the run, slower where it does not
        iterations = round(experiment.iterations / predicted_ratio(longer, costs))
        if iterations == longer.iterations:
            break
        longer = dataclasses.replace(longer, iterations=iterations)
    return longer
