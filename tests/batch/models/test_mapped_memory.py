"""What a folder of images larger than memory takes, in a process of its own."""

import os
import subprocess
import sys

import pytest
from PIL import Image

SIDE, COUNT = 1000, 70  # 3 MB an image, 210 MB in all
SCRIPT = """
import resource
import sys

import keras
import numpy as np

from batch import BlockModel, TFModel
from batch.data import mapped
from batch.data.data import load_data

mapped.free_memory = lambda: 10**8  # so that a quarter of it holds no split whole


def layers():
    return [keras.layers.AveragePooling2D(100), keras.layers.Flatten(), keras.layers.Dense(2)]


def keras_model(shape):
    model = BlockModel(keras.Sequential([keras.Input(shape), *layers()]))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def use(images, labels, models, fit):
    ours, theirs = models
    for step in range(3):
        loss = ours.train(images, labels, rows=np.arange(4) + step)
    fetches = ["output_accuracy", "predictions"]
    accuracy, predictions = ours.predict(images, labels, fetches=fetches)
    assert np.isfinite(loss) and predictions.shape == (len(images), 2)
    theirs.fit(images, labels, batch_size=4, epochs=1, steps_per_epoch=fit, verbose=0)
    theirs.evaluate(images, labels, batch_size=4, verbose=0)
    theirs.predict(images, batch_size=4, verbose=0)


shape = (int(sys.argv[2]), int(sys.argv[2]), 3)
inputs = {"images": {"shape": shape}, "labels": {"classes": 2}}
models = TFModel({"inputs": inputs, "network": layers()}), keras_model(shape)
use(np.zeros((8, *shape), np.uint8), np.arange(8) % 2, models, None)
with open("/proc/self/status") as status:
    now = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmData"))
# Of memory of its own, which mapped files are not, the process gets no more than this.
resource.setrlimit(resource.RLIMIT_DATA, (now + 80 * 10**6,) * 2)
data = load_data(sys.argv[1])
assert mapped.mapping_of(data.train.images) is not None
print(data.summary())
use(data.train.images, data.train.labels, models, 3)
print(models[0].iteration)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of memory")
def test_a_folder_is_decoded_trained_on_and_evaluated_in_little_memory(tmp_path):
    for number, name in enumerate(("dark", "light")):
        (tmp_path / "shades" / name).mkdir(parents=True)
        first = tmp_path / "shades" / name / "0.png"
        Image.new("RGB", (SIDE, SIDE), (100 + 100 * number,) * 3).save(first)
        for copy in range(1, COUNT // 2):
            os.link(first, first.with_name(f"{copy}.png"))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "shades"), str(SIDE)]
    environment = {**os.environ, "RESBATCH_CACHE": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    summary, iterations = run.stdout.splitlines()
    assert f"shades: 60 + 10 images of {SIDE}×{SIDE}×3" in summary
    assert iterations == "6"
