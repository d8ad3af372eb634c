"""Squeeze and excitation: attention to channels."""

import keras

from batch.networks.arguments import channels, layer_seed
from batch.networks.layers import Block, build_in_order, convolution


@keras.saving.register_keras_serializable(package="resbatch")
class SqueezeExcitation(Block):
    """Scales each channel by a number from 0 to 1, which the channels' means decide.

    Two layers without bias, with ReLU and a sigmoid, compute these numbers.

    Parameters
    ----------
    ratio : int
        The first layer has so many times fewer units than there are channels.
    seed : int, optional
        Makes the initial weights reproducible.

    Raises
    ------
    ValueError
        If there are fewer channels than `ratio`.

    References
    ----------
    Hu et al., Squeeze-and-Excitation Networks, 2018, figures 2 and 3.
    """

    def __init__(self, ratio=16, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.config = {"ratio": channels("ratio", ratio), "seed": layer_seed(seed)}

    def build(self, input_shape):
        ratio, seed = self.config["ratio"], self.config["seed"]
        count = input_shape[-1]
        if count < ratio:
            raise ValueError(f"ratio must be at most the {count} channels. Received: {ratio}")
        self.convolutions = [
            convolution(units, 1, seed=None if seed is None else seed + at, dtype=self.dtype_policy)
            for at, units in enumerate((count // ratio, count))
        ]
        build_in_order(self.convolutions, (*input_shape[:1], 1, 1, count))
        super().build(input_shape)

    def call(self, inputs):
        squeeze, excite = self.convolutions
        means = keras.ops.mean(inputs, axis=(1, 2), keepdims=True)
        return inputs * keras.ops.sigmoid(excite(keras.ops.relu(squeeze(means))))

    def get_config(self):
        return {**super().get_config(), **self.config}
