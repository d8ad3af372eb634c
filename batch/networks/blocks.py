"""Blocks that networks are made of: convolution block, residual block, classifier."""

import keras

from batch.checks import (
    not_negative,
    one_of,
    optional,
    positive_whole,
    probability,
    received,
    true_or_false,
    whole,
)
from batch.networks.arguments import (
    MOST_PIXELS,
    channels,
    class_count,
    layer_seed,
    unit_counts,
    window,
)
from batch.networks.attention import SqueezeExcitation
from batch.networks.layers import LAYOUT, Block, batch_norm, build_in_order, convolution

KERNEL_SIZES = {2: (3, 3), 3: (1, 3, 1)}  # of basic and bottleneck blocks


@keras.saving.register_keras_serializable(package="resbatch", name="Stem")  # its name in files
class ConvolutionBlock(Block):
    """Convolution, batch normalization, ReLU, max-pooling: a stem, or a block of a VGG network.

    Normalization and pooling may be left out.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size, strides : int
        Of the convolution.
    pool_size : int
        Window of the max-pooling, whose stride is 2; 1 for none.
    pool_padding : {'valid', 'same'}
        Of the max-pooling: 'same' also pools the last row and column of an odd image.
    symmetric : bool
        Pad the convolution on both sides alike.
    use_bias : bool
        Of the convolution.
    epsilon : float
        Of the batch normalization.
    normalize : bool
        Whether there is batch normalization.
    activation : {'relu', 'relu6'}
        ReLU, or ReLU that ends at 6.
    seed : int, optional
        Makes the initial weights reproducible.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        pool_size=1,
        pool_padding="valid",
        symmetric=False,
        use_bias=False,
        epsilon=1e-3,
        seed=None,
        normalize=True,
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        symmetric = true_or_false("symmetric", symmetric)
        self.config = config = {
            "filters": channels("filters", filters),
            "kernel_size": window("kernel_size", kernel_size, odd=symmetric),
            "strides": window("strides", strides),
            "pool_size": positive_whole("pool_size", pool_size, MOST_PIXELS),
            "pool_padding": one_of("pool_padding", pool_padding, ("valid", "same")),
            "symmetric": symmetric,
            "use_bias": true_or_false("use_bias", use_bias),
            "epsilon": not_negative("epsilon", epsilon),
            "seed": layer_seed(seed),
            "normalize": true_or_false("normalize", normalize),
            "activation": one_of("activation", activation, ("relu", "relu6")),
        }
        dtype = self.dtype_policy
        of_convolution = ("filters", "kernel_size", "strides", "seed", "use_bias", "symmetric")
        self.convolution = convolution(
            **{name: config[name] for name in of_convolution}, dtype=dtype
        )
        self.normalization = batch_norm(dtype, epsilon) if normalize else None
        pool_size = config["pool_size"]
        # After ReLU no value is below 0, so padding with zeros does not change a maximum.
        margin = (pool_size - 1) // 2
        common = {"data_format": LAYOUT, "dtype": dtype}
        self.padding = keras.layers.ZeroPadding2D(margin, **common) if margin else None
        self.pool = None
        if pool_size > 1:
            self.pool = keras.layers.MaxPooling2D(pool_size, 2, pool_padding, **common)

    def build(self, input_shape):
        layers = [layer for layer in (self.convolution, self.normalization) if layer is not None]
        shape = build_in_order(layers, input_shape)
        sizes = shape if self.padding is None else self.padding.compute_output_shape(shape)
        least, padding = self.config["pool_size"], self.config["pool_padding"]
        if padding == "valid" and any(size and size < least for size in sizes[1:3]):
            raise ValueError(
                f"{self.name} pools {least}×{least} pixels: its inputs must be larger. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        super().build(input_shape)

    def call(self, inputs, training=None):
        outputs = self.convolution(inputs)
        if self.normalization is not None:
            outputs = self.normalization(outputs, training=training)
        outputs = getattr(keras.ops, self.config["activation"])(outputs)
        for layer in (self.padding, self.pool):
            outputs = outputs if layer is None else layer(outputs)
        return outputs

    def get_config(self):
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="resbatch")
class ResidualBlock(Block):
    """A basic or a bottleneck block: a branch of convolutions, added to its input.

    The branch has two convolutions of 3×3, or three of 1×1, 3×3 and 1×1 (He et al., 2016, figure
    5). Batch normalization follows each of them, and ReLU stands between them and after the
    addition.

    Parameters
    ----------
    filters : sequence of two or three ints
        Channels after each convolution. Where the last differs from the input's channels, or
        `strides` from 1, a 1×1 convolution with batch normalization carries the shortcut.
    strides : int
        Of the first 3×3 convolution and the shortcut.
    stride_first : bool
        The first convolution has the stride, whatever its size.
    symmetric : bool
        Pad strided convolutions on both sides alike.
    use_bias : bool
        Of the convolutions.
    epsilon : float
        Of the batch normalizations.
    seed : int, optional
        Makes the initial weights reproducible.
    se_ratio : int, optional
        The branch ends in `batch.networks.attention.SqueezeExcitation` of this ratio.
    """

    def __init__(
        self,
        filters,
        strides=1,
        stride_first=False,
        symmetric=False,
        use_bias=False,
        epsilon=1e-3,
        seed=None,
        se_ratio=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        filters = _channel_counts(filters)
        self.config = {
            "filters": filters,
            "strides": window("strides", strides),
            "stride_first": true_or_false("stride_first", stride_first),
            "symmetric": true_or_false("symmetric", symmetric),
            "use_bias": true_or_false("use_bias", use_bias),
            "epsilon": not_negative("epsilon", epsilon),
            "seed": layer_seed(seed),
            "se_ratio": optional(whole, "se_ratio", se_ratio, 1, filters[-1]),
        }
        strides = self.config["strides"]
        kernel_sizes = KERNEL_SIZES[len(filters)]
        strided = 0 if stride_first else kernel_sizes.index(3)
        self.convolutions = [
            self._convolution(channels, size, strides if number == strided else 1, number=number)
            for number, (channels, size) in enumerate(zip(filters, kernel_sizes))
        ]
        self.normalizations = [self._normalization() for _ in filters]
        self.projection = self.projection_normalization = self.attention = None
        if se_ratio is not None:
            own_seed = None if seed is None else seed + 4
            self.attention = SqueezeExcitation(se_ratio, own_seed, dtype=self.dtype_policy)

    def _convolution(self, filters, kernel_size, strides, *, number):
        """Convolution number 0, 1, … of the block; each has a seed of its own."""
        seed = self.config["seed"]
        return convolution(
            filters,
            kernel_size,
            strides,
            seed=None if seed is None else seed + number,
            dtype=self.dtype_policy,
            **{key: self.config[key] for key in ("use_bias", "symmetric")},
        )

    def _normalization(self):
        return batch_norm(self.dtype_policy, self.config["epsilon"])

    def build(self, input_shape):
        pairs = zip(self.convolutions, self.normalizations)
        shape = build_in_order((layer for pair in pairs for layer in pair), input_shape)
        if tuple(shape[1:]) != tuple(input_shape[1:]):
            self.projection = self._convolution(shape[-1], 1, self.config["strides"], number=3)
            self.projection_normalization = self._normalization()
            build_in_order((self.projection, self.projection_normalization), input_shape)
        if self.attention is not None:
            self.attention.build(shape)
        super().build(input_shape)

    def branch(self, inputs, training=None):
        """The convolutions, whose output is added to the shortcut."""
        outputs = inputs
        for conv, norm in zip(self.convolutions[:-1], self.normalizations[:-1]):
            outputs = keras.ops.relu(norm(conv(outputs), training=training))
        outputs = self.normalizations[-1](self.convolutions[-1](outputs), training=training)
        return outputs if self.attention is None else self.attention(outputs)

    def shortcut(self, inputs, training=None):
        """The input, projected where the branch changes its shape."""
        if self.projection is None:
            return inputs
        return self.projection_normalization(self.projection(inputs), training=training)

    def activation(self, outputs):
        """The activation after the addition."""
        return keras.ops.relu(outputs)

    def call(self, inputs, training=None):
        return self.activation(self.branch(inputs, training) + self.shortcut(inputs, training))

    def get_config(self):
        return {**super().get_config(), **self.config}


def _channel_counts(filters):
    """A checked list of two or three numbers of channels."""
    counted = isinstance(filters, (list, tuple)) and len(filters) in KERNEL_SIZES
    if not counted:
        raise ValueError(f"filters must be two or three channel counts. {received(filters)}")
    return [channels("filters", count) for count in filters]


@keras.saving.register_keras_serializable(package="resbatch")
class Classifier(Block):
    """Global average pooling and a dense layer: from features to logits.

    With `hidden`, dense layers with ReLU stand before the last one, and take the features place by
    place in place of their average, as in VGG networks.

    Parameters
    ----------
    classes : int
        Number of classes.
    seed : int, optional
        Makes the initial weights reproducible.
    normalize : bool
        Batch normalization (ε 1e-5) and ReLU come first; networks of pre-activation blocks need it.
    dropout : float
        Share of the features to drop in training, before the last dense layer and, with `hidden`,
        before all but the first.
    hidden : sequence of int
        Units of the dense layers before the last one.
    """

    def __init__(self, classes, seed=None, normalize=False, dropout=0.0, hidden=(), **kwargs):
        super().__init__(**kwargs)
        self.config = {
            "classes": class_count(classes, least=1),
            "seed": layer_seed(seed),
            "normalize": true_or_false("normalize", normalize),
            "dropout": probability("dropout", dropout),
            "hidden": unit_counts("hidden", hidden),
        }
        classes, seed, normalize, dropout, hidden = self.config.values()
        self.normalization = batch_norm(self.dtype_policy, 1e-5) if normalize else None
        # Logits and loss stay in float32 whatever the precision of the features.
        pool = keras.layers.Flatten if hidden else keras.layers.GlobalAveragePooling2D
        self.pool = pool(data_format=LAYOUT, dtype="float32")
        self.hidden = [
            _dense(units, None if seed is None else seed + number, "relu")
            for number, units in enumerate(hidden, 1)
        ]
        self.dense = _dense(classes, seed)
        self.drop = None
        if dropout:
            self.drop = keras.layers.Dropout(dropout, seed=seed, dtype="float32")

    def build(self, input_shape):
        if self.normalization is not None:
            self.normalization.build(input_shape)
        build_in_order((self.pool, *self.hidden, self.dense), input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        if self.normalization is not None:
            inputs = keras.ops.relu(self.normalization(inputs, training=training))
        outputs = self.pool(inputs)
        for number, dense in enumerate((*self.hidden, self.dense)):
            if self.drop is not None and (number or not self.hidden):
                outputs = self.drop(outputs, training=training)
            outputs = dense(outputs)
        return outputs

    def get_config(self):
        return {**super().get_config(), **self.config}


def _dense(units, seed, activation=None):
    """A dense layer with He initialization, in float32."""
    initializer = keras.initializers.HeNormal(seed=seed)
    return keras.layers.Dense(units, activation, kernel_initializer=initializer, dtype="float32")
