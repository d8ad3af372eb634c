"""Layers made anew in mixed bfloat16: weights, statistics, logits and loss stay float32."""

MIXED = "mixed_bfloat16"
INPUTS = ("InputLayer", "__keras_tensor__")  # their dtype is that of what comes in


def in_bfloat16(layers):
    """The layers, not built, as their configs make them in mixed precision; the last as it is.

    Parameters
    ----------
    layers : list of keras.layers.Layer
        Blocks of a network, the classifier last. What is in them is made in mixed precision too.

    """
    *blocks, classifier = layers
    made = [type(block).from_config(_mixed(block.get_config())) for block in blocks]
    return [*made, type(classifier).from_config(classifier.get_config())]


def check_bfloat16(blocks):
    """Refuse blocks, built, that compute in float32 whatever their configs say.

    Raises
    ------
    ValueError
        Names the block.
    """
    for block in blocks:
        inner = block._flatten_layers()  # noqa: SLF001 itself and all within
        if block.weights and all(each.compute_dtype != "bfloat16" for each in inner):
            raise ValueError(
                f"{block.name} does not take its precision from its config: for precision "
                f"'bfloat16', make it with dtype='{MIXED}'."
            )


def _mixed(config):
    """A layer's config with float32 replaced wherever a layer says it computes in it.

    Operations, as a cast, have a type too, which is what they are for: they stay.
    """
    if isinstance(config, (list, tuple)):
        return type(config)(_mixed(one) for one in config)
    if not isinstance(config, dict) or config.get("class_name") in INPUTS:
        return config
    made = {key: _mixed(value) for key, value in config.items()}
    policy = config.get("dtype")
    if isinstance(policy, dict):
        policy = policy.get("config", {}).get("name")
    if policy == "float32" and "trainable" in config:
        made["dtype"] = MIXED
    return made
