"""Pages of all kinds, drawn from made-up runs: nothing is trained for them."""

import numpy as np
import pytest

from research.page import report
from research.storage import results
from utils import History

METHODS = ("classic", "annealed", "freezeout", "stochastic", "shorter", "autofreeze")
HOSTILE = "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>{{ 7 * 7 }}"
LONG = "an_endless_name_without_a_space_" * 9
ENVIRONMENT = {"resbatch": "0.1.0", "processor": "Some Processor", "threads": "2"}
PNG = (  # a grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def mistakes_of(classes):
    wrong = {"row": 0, "label": 0, "said": 1, "probability": 0.7, "png": PNG}
    return {"confusion": np.eye(classes, dtype=int).tolist(), "worst": [wrong] * 10}


def runs_of(labels, seeds, iterations=40, classes=10):
    rng = np.random.default_rng(0)
    made = []
    for seed in range(seeds):
        for number, label in enumerate(labels):
            losses = np.geomspace(2, 0.1 + number / 9, iterations) * rng.uniform(0.8, 1.2)
            frozen = [min(4, 5 * step // iterations) * (number % 2) for step in range(iterations)]
            seconds = [rng.uniform(0.1, 0.12)] * iterations
            history = History(label, seed, losses.tolist(), seconds, frozen, rng.uniform(0.9, 0.99))
            history.mistakes = mistakes_of(classes) if seed == 0 else None
            made.append(history)
    return made


def in_force(number):
    optimizer = {"name": "SGD", "momentum": 0.8 + number / 100, "nesterov": True}
    schedule = {"name": "Constant", "learning_rate": 0.03}
    return {"network": {"name": "resnet"}, "optimizer": optimizer, "schedule": schedule}


def settings_of(labels, seeds, **more):
    return {
        **{"command": "compare", "data": "digits", "iterations": 40, "batch_size": 50},
        **{"test_images": 450, "methods": list(labels), "seeds": list(range(seeds)), **more},
    }


def record_of(labels, settings, **more):
    """What `results.save` takes besides histories, for runs by such labels."""
    return {
        "settings": settings,
        "environment": ENVIRONMENT,
        "predicted_ratio": dict.fromkeys(labels, 0.9),
        "in_force": {label: in_force(number) for number, label in enumerate(labels)},
        "data": "digits: 1,347 + 450 images of 28×28×1",
        **more,
    }


def six():
    return runs_of(METHODS, 5), record_of(METHODS, settings_of(METHODS, 5))


def single():
    settings = settings_of(["freezeout"], 1, command="train")
    return runs_of(["freezeout"], 1), record_of(["freezeout"], settings)


def one_seed():
    return runs_of(METHODS[:3], 1), record_of(METHODS[:3], settings_of(METHODS[:3], 1))


def study():
    labels = [
        *("annealed K=0", "annealed K=4", "annealed K=0, 0.5 of the iterations"),
        "freezeout linear, t_0 0.05",
    ]
    settings = settings_of(labels, 5, study="frontier", base="efficientnet-lite0")
    return runs_of(labels, 5), record_of(labels, settings, study={label: {} for label in labels})


def unmatched():
    labels = [f"a folder: {name}" for name in METHODS[:2]]
    return runs_of(labels, 2), record_of(labels, settings_of(labels, 2, matched=False))


def hostile():
    labels = [HOSTILE, LONG, "$x$"]
    facts = {"method": HOSTILE, "baseline": LONG, "action": "train_res", "options": []}
    settings = settings_of(labels, 2, **{HOSTILE: LONG, LONG: HOSTILE})
    more = {"methods": dict.fromkeys(labels, facts), "classes": [HOSTILE, LONG]}
    return runs_of(labels, 2, classes=2), record_of(labels, settings, **more)


KINDS = {kind.__name__: kind for kind in (six, single, one_seed, study, unmatched, hostile)}


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A function: the path of the page of a kind, drawn once."""
    drawn = {}

    def page_of(kind):
        if kind not in drawn:
            folder = tmp_path_factory.mktemp(kind)
            histories, record = KINDS[kind]()
            results.save(folder, histories, **record)
            report.write_report(folder, *results.read(folder))
            drawn[kind] = folder / "report.html"
        return drawn[kind]

    return page_of
