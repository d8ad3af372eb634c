"""What runs should take, before they are run: by the costs of their networks' blocks."""

import dataclasses

import numpy as np

from batch import flops
from batch.checks import positive_whole
from batch.schedules import make_schedule, observes
from batch.training.block_times import timed
from research.experiments import cache_saving
from research.experiments.experiment import count_blocks, make_model
from research.methods.loading import errors_named

ONLY_TRAINING = ("schedule", "optimizer", "learning_rate")  # keys that change no network


def costs(experiments, data):
    """What the blocks of each experiment's network cost, by the experiment's label.

    What an experiment freezes for good counts as if it learnt.

    Parameters
    ----------
    experiments : dict from str to Experiment
    data : utils.Data

    Returns
    -------
    dict from str to list of BlockCost
    """
    counted, labelled = {}, {}
    for label, experiment in experiments.items():
        network = _network(experiment, data)
        if network not in counted:
            model = make_model(experiment.all_learning(), data)
            counted[network] = flops.block_costs(model.network)
        labelled[label] = counted[network]
    return labelled


def measured(experiments, counted, data):
    """The same costs, with the `seconds` that blocks are measured to take here, now.

    What decides how long a run is, or its bits, is not to be measured: that stays with `costs`.

    Parameters
    ----------
    experiments : dict from str to Experiment
    counted : dict from str to list of BlockCost
        As from `costs`.
    data : utils.Data
    """
    made, labelled = {}, {}
    for label, experiment in experiments.items():
        trained = (*_network(experiment, data), repr(experiment.config(data)["optimizer"]))
        if trained not in made:
            trainer = make_model(experiment.all_learning(), data).trainer
            made[trained] = timed(counted[label], trainer, experiment.batch_size)
        labelled[label] = made[trained]
    return labelled


def _network(experiment, data):
    """What distinguishes the network of an experiment, its method's changes included."""
    config = experiment.method_config(count_blocks(experiment, data))
    changes = {key: value for key, value in config.items() if key not in ONLY_TRAINING}
    options = tuple(sorted(experiment.model_options.items()))
    return experiment.model, experiment.base, options, repr(sorted(changes.items()))


def own_length(experiment, costs):
    """The experiment with its method's own number of iterations, if it has one.

    Parameters
    ----------
    experiment : Experiment
    costs : list of BlockCost
        Of its network.
    """
    method = experiment.trained_by
    if method.iterations is None:
        return experiment
    with errors_named(method, all_errors=True):
        iterations = positive_whole("iterations", method.iterations(experiment.with_rates(), costs))
    return dataclasses.replace(experiment, iterations=iterations)


def own_lengths(experiments, data):
    """Experiments with the number of iterations that each will have.

    Parameters
    ----------
    experiments : dict from str to Experiment
    data : utils.Data
    """
    own = {
        label: experiment
        for label, experiment in experiments.items()
        if experiment.trained_by.iterations
    }
    counted = costs(own, data)
    return {
        label: own_length(experiment, counted[label]) if label in own else experiment
        for label, experiment in experiments.items()
    }


def predicted_ratio(experiment, costs, iterations=None, examples=None):
    """Time of a run over that of a classic one, as the costs of its stages predict it.

    None for a schedule that looks at training: only the run can show it.

    Parameters
    ----------
    experiment : Experiment
    costs : list of BlockCost
        As from `costs` or `measured`.
    iterations : int, optional
        Of the classic run; as many as the experiment's by default.
    examples : int, optional
        Training images. With them, what the cache of frozen blocks should spare counts, too.
    """
    method, blocks = experiment.trained_by, len(costs) - 1
    config = experiment.method_config(blocks)
    schedule = make_schedule(config.get("schedule", ("Constant", {"learning_rate": 1})), blocks)
    if method.adapts or observes(schedule):
        return None
    with errors_named(method):
        learns = experiment.learning(blocks)
        ratio = flops.predicted_ratio(costs, schedule, experiment.iterations, learns)
        if examples:
            run = cache_saving.planned(schedule, costs, experiment)
            ratio -= cache_saving.share_spared(experiment, costs, run, examples)
    return ratio * experiment.iterations / (iterations or experiment.iterations)


def ratio_of_runs(histories, costs, iterations, experiment=None, examples=None):
    """The same ratio for runs that are over, from the costs of what was frozen in them.

    Parameters
    ----------
    histories : list of History
        Runs of one method in which only leading blocks were frozen.
    costs : list of BlockCost
    iterations : int
        Of the classic run.
    experiment, examples : Experiment, int, optional
        What they are runs of, and training images: then what the cache should spare counts, too.
    """
    steps = flops.frozen_ratios(costs)
    made = np.mean([steps[history.frozen].sum() for history in histories])
    if examples:
        runs = [cache_saving.seen(history.frozen, len(costs) - 1) for history in histories]
        shares = [cache_saving.share_spared(experiment, costs, run, examples) for run in runs]
        made -= np.mean(shares) * experiment.iterations
    return float(made / iterations)


def fill_in_ratios(predicted, histories, named, costs, base, data):
    """Fill in the ratios that are known only once the runs are over.

    Parameters
    ----------
    predicted : dict from str to float or None
        Ratios by label.
    histories : list of History
    named : dict from str to Experiment
    costs : dict from str to list of BlockCost
    base : Experiment
        As long as the classic run.
    data : utils.Data
    """
    for label in [label for label, ratio in predicted.items() if ratio is None]:
        own = [history for history in histories if history.method == label]
        predicted[label] = ratio_of_runs(
            own, costs[label], base.iterations, named[label], len(data.train.labels)
        )


def equal_time(experiment, costs):
    """The experiment with as many iterations as take a classic run's time, by their FLOPs.

    A schedule that ends before the run ends as much later as the run is longer.
    """
    longer = experiment
    for _ in range(3):  # stretched, a schedule saves nearly the same share
        ratio = predicted_ratio(longer, costs)
        if ratio is None:
            raise ValueError(
                f"Equal times need a saving that is known before the run: not {experiment.label}"
            )
        iterations = round(experiment.iterations / ratio)
        freeze = experiment.freeze_iterations
        if freeze:
            freeze = round(freeze * iterations / experiment.iterations)
        longer = dataclasses.replace(longer, iterations=iterations, freeze_iterations=freeze)
    return longer
