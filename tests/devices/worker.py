"""A worker of two: trains with the other and alone, and writes what came out, as JSON."""

import json
import os
import sys

import numpy as np

from batch.training.strategy import make_strategy

make_strategy("multiworker")  # before anything is computed

from networks import (  # noqa: E402
    FREEZING,
    IMAGES,
    LABELS,
    ROWS,
    WEIGHTS,
    both,
    commanded,
    convolutions,
    made,
    plain,
    refusal,
    steps,
)


def main(folder):
    number = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    kept = {"schedule": FREEZING, "cache": "memory"}
    crops = {"pad": 1, "flip": True}
    equal = {
        "weights": both("multiworker", plain, weights=WEIGHTS, **kept),
        "augmented": both("multiworker", convolutions, IMAGES, schedule=FREEZING, augment=crops),
    }
    model = equal["weights"][1][1]
    seen = refusal(lambda: model.train(ROWS, LABELS, fetches="output_accuracy"))
    for _ in range(8):  # with a finetune rate, blocks would learn again
        model.train(ROWS, LABELS, rows=np.arange(0, 16, 2))
    other = made("multiworker", plain(), seed=number)
    found = {
        "equal": {name: given for name, (given, _) in equal.items()},
        "cache": [model.trainer.cache.requests, int(model.trainer.cache.hits)],
        "bytes": equal["augmented"][1][1].trainer.replicas.bytes,
        "refused": [seen, refusal(lambda: steps(other, count=1)), other.iteration],
        "status": commanded("--strategy", "multiworker", "--out", f"{folder}/worker{number}"),
    }
    with open(f"{folder}/worker{number}.json", "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(sys.argv[1])
