import json

import keras
import pytest

from research import Experiment, Method, compare, optimizers
from research.cli import main
from research.experiments import experiment as experiments
from research.optimizers import OptimizerError, read
from utils import load_data

SMALL = ["--iterations", "2", "--batch-size", "20"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("Adam", ("Adam", {})),
        ("SGD:momentum=0.9,nesterov=true", ("SGD", {"momentum": 0.9, "nesterov": True})),
        ("Adam:amsgrad=False, clipnorm=1", ("Adam", {"amsgrad": False, "clipnorm": 1})),
        ("Adam:epsilon=1e-5,weight_decay=none", ("Adam", {"epsilon": 1e-5, "weight_decay": None})),
        ("Muon:exclude_layers=dense", ("Muon", {"exclude_layers": "dense"})),
        (("Adam", {"beta_1": 0.8}), ("Adam", {"beta_1": 0.8})),
    ],
)
def test_what_a_text_says(spec, expected):
    assert read(spec) == expected
    assert json.dumps(read(spec)[1]) == json.dumps(expected[1])  # True is not 1


@pytest.mark.parametrize(
    "spec", ["", "Adam:", "Adam:beta_1", "Adam:=1", "Adam:a=1,a=2", "Adam beta", 3, ("Adam", 0.1)]
)
def test_what_has_another_form(spec):
    with pytest.raises(OptimizerError, match=r"NAME or NAME:KEY=VALUE,…, .* Received: "):
        Experiment(optimizer=spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Adamm", r"Received: \('Adamm', {}\)\. Did you mean 'Adam'\?"),
        ("Adam:beta1=0.8", r"Unknown key .* 'Adam': beta1\. Known keys: .* Did you mean 'beta_1'"),
        ("SGD:momentum=2", "momentum"),
        ("SGD:weight_decay=x", "--optimizer SGD: "),
        ("MultiOptimizer", "--optimizer MultiOptimizer: "),
    ],
)
def test_what_keras_does_not_have(spec, message, fails):
    with pytest.raises(OptimizerError, match=message):
        optimizers.check(spec)
    line = fails(2, "train", *SMALL, "--learning-rate", "0.1", "--optimizer", spec)
    assert f"--optimizer {spec.partition(':')[0]}: " in line


def test_a_rate_is_not_to_be_given(fails):
    line = fails(2, "compare", "--optimizer", "Adam:learning_rate=0.1")
    assert (
        "learning_rate is not to be given: the rate is that of --learning-rate and of the" in line
    )
    with pytest.raises(OptimizerError, match="name is not to be given"):
        Experiment(optimizer=("Adam", {"name": "mine"}))


@pytest.mark.parametrize("method", ["classic", "freezeout", "stochastic"])
def test_it_takes_the_place_of_the_methods_own(method):
    data = load_data("digits")
    given = {"method": method, "iterations": 10, "learning_rate": 0.002}
    one = Experiment(optimizer="Adam:beta_1=0.8,amsgrad=true", **given)
    trainer = experiments.make_model(one, data).trainer
    for optimizer in trainer.optimizers:
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert (optimizer.beta_1, optimizer.amsgrad) == (0.8, True)
    own = experiments.make_model(Experiment(**given), data).trainer
    assert [trainer.plan.rates_at(at).tolist() for at in (0, 7)] == [
        own.plan.rates_at(at).tolist() for at in (0, 7)
    ]


def test_a_momentum_beside_it_is_refused():
    data = load_data("digits")
    with pytest.raises(ValueError, match=r"give it as an argument of 'SGD'\. Received: 0\.5"):
        experiments.check(Experiment(optimizer="SGD", momentum=0.5), data)


def test_a_method_with_an_optimizer_of_its_own_is_refused_before_any_trains(monkeypatch):
    own = Method("own", lambda *_: {"optimizer": "RMSprop"})
    length = {"iterations": 2, "batch_size": 20, "optimizer": "Adam"}
    named = {"classic": Experiment(**length), "own": Experiment(method=own, **length)}
    monkeypatch.setattr("research.running.run.Run.advance", lambda *_: pytest.fail("it trained"))
    with pytest.raises(ValueError, match="own has an optimizer of its own, so the run's can't be"):
        compare(named, [0], load_data("digits"), quiet=True)


@pytest.mark.usefixtures("small_networks")
def test_it_is_on_the_record(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", *SMALL, "--optimizer", "adam:beta_1=0.5", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Without --learning-rate, adam has the rates that the methods have w")
    settings = json.loads((out / "experiment.json").read_text())["settings"]
    assert settings["optimizer"] == "adam:beta_1=0.5"
    assert "momentum" not in settings
