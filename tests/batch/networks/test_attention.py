import numpy as np
import pytest

from batch import ResNet18
from batch.networks.attention import SqueezeExcitation

INPUTS = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}


def test_squeeze_and_excitation_is_its_formula():
    layer = SqueezeExcitation(2, seed=1)
    images = np.random.default_rng(0).normal(size=(3, 5, 5, 4)).astype(np.float32)
    found = layer(images)
    first, second = (conv.kernel.numpy()[0, 0] for conv in layer.convolutions)
    assert (first.shape, second.shape) == ((4, 2), (2, 4))
    scores = np.maximum(images.mean((1, 2)) @ first, 0) @ second
    expected = images / (1 + np.exp(-scores))[:, None, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"ratio must be at most the 4 channels\. Received: 5"):
        SqueezeExcitation(5)(images)


def test_a_resnet_with_attention_trains_and_is_saved(examples, tmp_path):
    body = {"num_blocks": [1, 1], "filters": [4, 8], "blocks/attention": "se"}
    model = ResNet18({"inputs": INPUTS, "body": body, "body/blocks/self_attention/ratio": 4})
    whole = ResNet18({"inputs": INPUTS, "body/num_blocks": [1, 1], "body/filters": [4, 8]})
    more = model.network.count_params() - whole.network.count_params()
    assert more == 2 * (4 * 1) + 2 * (8 * 2)  # two layers a block, and no biases
    before = model.network.layers[1].attention.convolutions[0].kernel.numpy()
    model.train(*examples)
    assert (model.network.layers[1].attention.convolutions[0].kernel.numpy() != before).any()
    model.save(tmp_path / "model")
    loaded = ResNet18({"load/path": tmp_path / "model"})
    np.testing.assert_array_equal(loaded.predict(examples[0]), model.predict(examples[0]))
