"""Arguments of the schedules whose rates fall along a cosine, from the settings of a run."""


def curve(experiment):
    """Arguments that all of these schedules have: how long, from which rate, and what follows."""
    return {
        "iterations": experiment.freeze_iterations or experiment.iterations,
        "learning_rate": experiment.learning_rate,
        "finetune_rate": experiment.finetune_rate,
    }


def spacing(experiment):
    """Arguments of FreezeOut that say when each block stops, and at which rate it starts."""
    from batch.schedules.freezeout import degree_of

    return {
        "t_0": experiment.t_0,
        "degree": degree_of(experiment.how_scale),
        "scaled": experiment.scale_lr,
        "count_classifier": experiment.count_classifier,
    }
