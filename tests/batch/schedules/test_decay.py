import keras
import numpy as np
import pytest

from batch.schedules.decay import Decays

PER = {"frequency": 3}
CASES = {  # decays of BatchFlow's kind, and PyTorch's class and arguments for each
    "exp": [({"name": "exp", **PER}, "ExponentialLR", {"gamma": 0.96})],
    "its own gamma": [({"name": "exp", "gamma": 0.5, **PER}, "ExponentialLR", {"gamma": 0.5})],
    "step": [
        ({"name": "step", "step_size": 2, "frequency": 2}, "StepLR", {"step_size": 2}),
    ],
    "multistep": [
        (
            {"name": "MultiStepLR", "milestones": [2, 3, 3], "gamma": 0.3, **PER},
            "MultiStepLR",
            {"milestones": [2, 3, 3], "gamma": 0.3},
        ),
    ],
    "cos": [
        (
            {"name": "cos", "T_max": 5, "eta_min": 0.1, "frequency": 2},
            "CosineAnnealingLR",
            {"T_max": 5, "eta_min": 0.1},
        ),
    ],
    "lambda": [
        (
            {"name": "lambda", "lr_lambda": lambda steps: 1 / (1 + steps), **PER},
            "LambdaLR",
            {"lr_lambda": lambda steps: 1 / (1 + steps)},
        ),
    ],
    "a range": [
        (
            {"name": "exp", "gamma": 0.5, **PER, "start_iter": 4, "last_iter": 20},
            "ExponentialLR",
            {"gamma": 0.5},
        ),
    ],
    "warm-up and decay": [
        (
            {"name": "exp", "gamma": 1.5, "frequency": 1, "last_iter": 9},
            "ExponentialLR",
            {"gamma": 1.5},
        ),
        (
            {"name": "cos", "T_max": 30, "frequency": 1, "start_iter": 10},
            "CosineAnnealingLR",
            {"T_max": 30},
        ),
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_rates_are_those_that_pytorchs_schedulers_give(case):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    decays = [spec for spec, _, _ in CASES[case]]
    schedulers = [
        getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
        for _, name, arguments in CASES[case]
    ]
    rates = []
    for iteration in range(1, 61):  # as BatchFlow's Torch models make steps of their decays
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for spec, scheduler in zip(decays, schedulers):
            start, last = spec.get("start_iter", 0), spec.get("last_iter", np.inf)
            if (iteration - start) % spec["frequency"] == 0 and start <= iteration <= last:
                scheduler.step()
    schedule = Decays(2, 0.8, decays)
    np.testing.assert_allclose([schedule(i) for i in range(60)], np.array([rates, rates]).T, 1e-12)


def test_rates_follow_from_the_iteration_alone():
    schedule = Decays(1, 1.0, {"name": "exp", "gamma": 0.5, "frequency": 100})
    assert schedule(5000).tolist() == [0.5**50]
    assert [float(schedule(i)[0]) for i in (0, 99, 100, 199, 200)] == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (keras.optimizers.schedules.CosineDecay(0.4, 8), [0.4, 0.2, 0.0]),
        ({"name": keras.optimizers.schedules.CosineDecay(0.4, 2), "frequency": 4}, [0.4, 0.2, 0]),
        ({"name": "CosineDecay", "decay_steps": 8, "frequency": 1}, [0.8, 0.4, 0.0]),
        (("PolynomialDecay", {"decay_steps": 1, "end_learning_rate": 0, **PER}), [0.8, 0, 0]),
    ],
)
def test_keras_schedules(decay, expected):
    schedule = Decays(1, 0.8, decay)
    np.testing.assert_allclose([schedule(i)[0] for i in (0, 4, 8)], expected, atol=1e-7)


@pytest.mark.parametrize(
    ("decay", "message"),
    [
        ("exp", r"decay must be \{'name': …, 'frequency': …\}.* Received: 'exp'"),
        ({"name": "exp"}, "the frequency a number of iterations.* Received: {'name': 'exp'}"),
        ({"frequency": 3}, "name is one of exp, step, multistep, cos, lambda"),
        ({"name": "cyclic", **PER}, "'schedule' takes a callable .* Received: 'cyclic'"),
        ({"name": dict, **PER}, "or a Keras learning-rate schedule"),
        ({"name": "exp", "factor": 0.5, **PER}, "exp takes gamma, frequency, .* Received: factor"),
        ({"name": "cos", **PER}, "The decay cos takes T_max, eta_min, .* Received: nothing"),
        ({"name": "exp", "frequency": 0}, "decay/frequency must be a whole number above 0"),
        ({"name": "exp", "start_iter": -1, **PER}, "decay/start_iter must be a finite number, 0"),
        ({"name": "exp", "last_iter": "end", **PER}, "decay/last_iter must be a finite number, 0"),
        ({"name": "exp", "gamma": "x", **PER}, "decay/gamma must be a finite number above 0"),
        ({"name": "step", "step_size": 0, **PER}, "decay/step_size must be a whole number above 0"),
        ({"name": "multistep", "milestones": [0.5], **PER}, "decay/milestones must be a whole"),
        ({"name": "cos", "T_max": -1, **PER}, "decay/T_max must be a whole number above 0"),
        ({"name": "cos", "T_max": 5, "eta_min": None, **PER}, "decay/eta_min must be a finite"),
        ({"name": "CosineDecay", "decay_steps": "x", **PER}, "decay must have arguments that Cos"),
    ],
)
def test_what_is_no_decay_is_refused(decay, message):
    for spec in (decay, [decay]):
        with pytest.raises(ValueError, match=message):
            Decays(2, 0.1, spec)
