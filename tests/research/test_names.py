import pytest

from batch.models.named import MODELS
from batch.networks.stochastic_depth import is_residual
from research import names

KINDS = {model.make_network: name for name, model in reversed(MODELS.items())}  # one each


@pytest.mark.parametrize("name", KINDS.values())
def test_networks_without_residual_blocks_are_named(name):
    config = {"inputs": {"images": {"shape": (32, 32, 3)}, "labels": {"classes": 10}}}
    network = MODELS[name](config).network
    assert any(map(is_residual, network.layers)) != (name in names.NOT_RESIDUAL)
