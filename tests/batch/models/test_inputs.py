import numpy as np
import pytest

from batch.models.feed import read_feed
from batch.models.inputs import read_inputs

NOTEBOOK = {
    "images": {"shape": (28, 28, 1)},
    "labels": {"classes": (10), "transform": "ohe", "dtype": "int64", "name": "targets"},
}


def test_the_notebooks_inputs():
    inputs = read_inputs(NOTEBOOK, {"inputs": "images"})
    assert (inputs.shape, inputs.classes, inputs.one_hot) == ((28, 28, 1), 10, True)
    assert (inputs.images, inputs.labels) == (("images",), ("labels", "targets"))


def test_other_forms():
    inputs = read_inputs({"pics": {"shape": [8, 9]}, "y": {"classes": ["cat", "dog", "bird"]}})
    assert (inputs.shape, inputs.classes, inputs.one_hot) == ((8, 9, 1), 3, False)
    assert (inputs.images, inputs.labels) == (("pics", "images"), ("y", "labels"))
    both = read_inputs({"images": {"shape": (8, 8, 3), "classes": np.int64(4)}})
    assert (both.classes, both.images, both.labels) == (4, ("images",), ("labels",))
    masked = {**NOTEBOOK, "masks": {"shape": (28, 28)}}
    assert read_inputs(masked, {"inputs": "masks"}).images == ("masks",)


def test_feeds():
    inputs = read_inputs(NOTEBOOK)
    assert list(read_feed(inputs, {"images": 1, "labels": 2}).values()) == [1, 2, None, None]
    feed = read_feed(inputs, {"images": 1, "targets": 2, "indices": 3, "loss_weights": 4})
    assert feed == {"images": 1, "labels": 2, "indices": 3, "loss_weights": 4}
    assert feed == read_feed(inputs, images=1, labels=2, indices=3, loss_weights=4)
    with pytest.raises(ValueError, match="The feed gives labels twice: images, labels, targets"):
        read_feed(inputs, {"images": 1, "labels": 2, "targets": 3})
    with pytest.raises(ValueError, match=r"feed lacks images\. Expected: images, labels"):
        read_feed(inputs, {"labels": 2})
    with pytest.raises(ValueError, match=r"Unknown names in the feed: image\. Expected: images"):
        read_feed(inputs, {"image": 1, "labels": 2})


@pytest.mark.parametrize(
    ("inputs", "block", "message"),
    [
        ({"a": {"shape": (8, 8)}, "b": {"shape": (8, 8), "classes": 2}}, None, "one shape and the"),
        ({"images": {"shape": (8, 8)}}, None, "one shape and the classes"),
        (NOTEBOOK, {"inputs": "pictures"}, "name an input with a shape. Received: 'pictures'"),
        (NOTEBOOK, {"inputs": "labels"}, "name an input with a shape. Received: 'labels'"),
        ({"images": {"shape": (8, 0), "classes": 2}}, None, r"\(H, W\) or \(H, W, C\)"),
        ({"images": {"shape": 28, "classes": 2}}, None, r"features\. Received: 28"),
        ({"images": {"shape": (None, 8), "classes": 2}}, None, r"features\. Received: \(None"),
        ({"images": (8, 8)}, None, r"inputs/images must be a dict .* Received: \(8, 8\)"),
        ({"images": {"shape": (8, 8), "classes": 1}}, None, "at least 2 classes"),
        ({"images": {"shape": (8, 8), "classes": "10"}}, None, "at least 2 classes, .* '10'"),
        ({"images": {"shape": (8, 8), "classes": 2, "transform": "mip"}}, None, "must be 'ohe'"),
    ],
)
def test_bad_inputs_are_refused(inputs, block, message):
    with pytest.raises(ValueError, match=message):
        read_inputs(inputs, block)
