"""The rate of classic and stochastic: constant, or falling in steps."""


def steps(experiment):
    """The schedule of a rate that is multiplied by gamma at the milestones; empty without any."""
    if not experiment.milestones:
        return {}
    settings = {
        "iterations": experiment.iterations,
        "learning_rate": experiment.learning_rate,
        "milestones": experiment.milestones,
        "gamma": experiment.gamma,
    }
    return {"schedule": ("MultiStep", settings)}
