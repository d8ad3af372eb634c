"""What Keras' settings for the whole process must be, so that training is what a config says."""

import keras
import tensorflow as tf

OF_OWN_LAYERS = ("float32", "mixed_bfloat16", "bfloat16", "float16", "float64")  # dtype policies


def check_settings():
    """Refuse settings under which nothing can be trained as it should.

    Layers of the user's own keep the dtype policy that they were made under.

    Raises
    ------
    ValueError
        If TensorFlow is not eager, Keras' floatx is not float32, or its dtype policy needs what we
        do not do, as the loss scale of mixed_float16. The message says how to set it.
    """
    if not tf.executing_eagerly():
        raise ValueError(
            "ResBatch needs TensorFlow's eager execution, which is off here "
            "(tf.compat.v1.disable_eager_execution, or a model made within a tf.Graph or "
            "tf.function)."
        )
    if keras.config.floatx() != "float32":
        raise ValueError(
            "Keras' floatx must be 'float32' (keras.config.set_floatx, or keras.json); a model's "
            f"'precision' says in what it computes. Received: {keras.config.floatx()!r}"
        )
    _check_policy(OF_OWN_LAYERS, "Keras' dtype policy")


def check_policy_of_ours():
    """Refuse a dtype policy beside float32 for a network that we make: `precision` says its dtype.

    Raises
    ------
    ValueError
        If there is one.
    """
    _check_policy(
        OF_OWN_LAYERS[:1], "'precision' says in what our networks compute: Keras' dtype policy"
    )


def check_defaults():
    """Refuse settings under which Keras' own networks, peers in a benchmark, would be others.

    Raises
    ------
    ValueError
        If there are some; the message names them.
    """
    check_settings()
    check_policy_of_ours()
    layout = keras.config.image_data_format()
    if layout != "channels_last":
        raise ValueError(
            "Networks of Keras' own are measured with its image_data_format 'channels_last' "
            f"(keras.config.set_image_data_format, or keras.json). Received: {layout!r}"
        )


def _check_policy(allowed, what):
    policy = keras.config.dtype_policy().name
    if policy not in allowed:
        raise ValueError(
            f"{what} must be {', '.join(allowed)} (keras.config.set_dtype_policy). "
            f"Received: {policy!r}"
        )


def check_layout(layers):
    """Refuse layers for images (C, H, W), unless a `Permute` stands before them.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
        Of a network for images (H, W, C).

    Raises
    ------
    ValueError
        If there is one; the message names it.
    """
    inner = [part for layer in layers for part in layer._flatten_layers()]  # noqa: SLF001
    for layer in inner:
        if isinstance(layer, keras.layers.Permute):
            return
        flat = isinstance(layer, keras.layers.Flatten)  # in another order, but all of it
        if getattr(layer, "data_format", None) == "channels_first" and not flat:
            raise ValueError(
                f"{layer.name} takes images (C, H, W), and ours are (H, W, C): make it with "
                "data_format='channels_last', whatever Keras' image_data_format is, or put a "
                "keras.layers.Permute before it. Received: data_format='channels_first'"
            )
