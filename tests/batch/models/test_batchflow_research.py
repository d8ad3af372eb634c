"""Our pipelines and models as experiments of BatchFlow's Research."""

import numpy as np
import pytest
from batchflow import B, C, Dataset, V

from batch import ResBatch, TFModel

research = pytest.importorskip("batchflow.research", reason="needs batchflow[research]")

RATES = (0.01, 0.1)
LENGTH = 3


@pytest.fixture
def dataset(examples):
    return Dataset(len(examples[1]), ResBatch, preloaded=examples)


def losses(pipeline, domain):
    """The losses of each run, in the order of the domain, and those of its repetition."""
    study = research.Research(domain=domain, n_reps=2)
    study.add_pipeline("train", pipeline, variables="loss", dump=None)
    study.run(
        n_iters=LENGTH,
        parallel=False,
        executor_target="for",
        dump_results=False,
        bar=False,
        debug=True,
    )
    table = study.results.df
    last = table[table.iteration == LENGTH - 1]
    assert len(last) == 2 * len(RATES)
    return [run[-LENGTH:] for run in last["loss"]]


def by_hand(pipeline, configs):
    made = []
    for config in configs:
        again = pipeline << pipeline.dataset
        again.set_config(config)
        for _ in range(LENGTH):
            again.next_batch()
        made.append(again.v("loss"))
    return made * 2  # repetitions have the model's seed, so they are the same


def test_an_action(dataset, blocks):
    pipeline = (
        dataset.p.init_variable("loss", default=[])
        .train_freez(save_to=V("loss", mode="a"))
        .run_later(20, n_epochs=None, shuffle=2)
    )
    configs = [
        {"freeznet": {"network": blocks(), "iteration": 4, "learning_rate": rate}} for rate in RATES
    ]
    domain = research.Option("freeznet", [config["freeznet"] for config in configs])
    expected = by_hand(pipeline, configs)
    assert losses(pipeline, domain) == expected
    assert not np.array_equal(*expected[:2])


def test_a_model(dataset, blocks):
    config = {
        "inputs": {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}},
        "network": blocks(),
        "optimizer": ("SGD", {"learning_rate": C("rate")}),
    }
    pipeline = (
        dataset.p.init_variable("loss", default=[])
        .init_model("net", TFModel, "dynamic", config=config)
        .train_model("net", B("images"), B("labels"), fetches="loss", save_to=V("loss", mode="a"))
        .run_later(20, n_epochs=None, shuffle=2)
    )
    expected = by_hand(pipeline, [{"rate": rate} for rate in RATES])
    assert losses(pipeline, research.Option("rate", list(RATES))) == expected
    assert not np.array_equal(*expected[:2])
