"""Optimizers for blocks: Keras' own, with SGD that reads and writes each slot only once.

What Keras' `fit` does around an optimizer for all weights at once is done by the trainer (the
scale of the loss, `global_clipnorm`, learning rates) or refused here, before anything is trained.
"""

import copy
import json
import logging

import keras
import numpy as np
import tensorflow as tf

from batch.checks import (
    argument_names,
    check_keys,
    not_negative,
    positive,
    positive_whole,
    received,
    true_or_false,
)
from batch.networks import known
from batch.shown import first_line, name_of
from batch.spelling import did_you_mean

# Methods that see all weights at once: an optimizer with its own may do more than update each.
WHOLE = ("apply", "apply_gradients", "scale_loss", "finalize_variable_values", "_clip_gradients")
OTHERS = dict.fromkeys(  # names of TensorFlow 1
    ("momentum", "momentumoptimizer"),
    ". It is ('SGD', {'momentum': …, 'nesterov': …, 'rate_outside': True}) here",
)
INSTEAD = {
    "LossScaleOptimizer": "its inner optimizer, with a fixed loss_scale_factor",
    "MultiOptimizer": "one of its optimizers, for all weights",
}


@keras.saving.register_keras_serializable(package="resbatch")
class FusedSGD(keras.optimizers.SGD):
    """Keras' SGD, updating each variable and its momentum in one fused operation.

    One operation in place of ten keeps the graph of a training step small, so that a new stage of
    freezing is quick to compile. With rate α, momentum μ and gradient g, there are two forms of the
    velocity v, the same for a constant rate and not for one that falls:

    - with the rate inside, as in Keras: v ← μ·v − α·g, then w ← w + v or, with Nesterov's momentum,
      w ← w + μ·v − α·g. Past gradients keep the rates that they came with;
    - with the rate outside, as in TensorFlow 1's MomentumOptimizer and PyTorch: v ← μ·v + g, then
      w ← w − α·v or, with Nesterov's, w ← w − α·(g + μ·v). All of a step has the rate of now.

    Parameters
    ----------
    *arguments, **settings
        Those of `keras.optimizers.SGD`.
    rate_outside : bool
        Whether the velocity is without the rate.
    """

    def __init__(self, *arguments, rate_outside=False, **settings):
        super().__init__(*arguments, **settings)
        self.rate_outside = true_or_false("rate_outside", rate_outside)

    def get_config(self):
        """Its arguments."""
        return {**super().get_config(), "rate_outside": self.rate_outside}

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        rate = tf.convert_to_tensor(learning_rate)  # read once, not once a variable
        super()._backend_update_step(grads, trainable_variables, rate)

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable and its momentum."""
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        slot = self.momentums[self._get_variable_index(variable)]
        apply = (
            tf.raw_ops.ResourceApplyMomentum
            if self.rate_outside
            else tf.raw_ops.ResourceApplyKerasMomentum
        )
        apply(
            var=variable.handle,
            accum=slot.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


def make_optimizer(spec):
    """A Keras optimizer from its name, `(name, arguments)`, a dict with a `name`, or itself.

    Raises
    ------
    ValueError
        If it is none of these, or would not train here as it does in Keras.
    """
    if isinstance(spec, keras.optimizers.Optimizer):
        optimizer = spec
    elif isinstance(spec, dict) and "class_name" in spec:
        optimizer = _read(spec)
    else:
        optimizer = _by_name(spec)
    _check_kind(type(optimizer))
    _check_settings(optimizer)
    return fused(optimizer)


def fused(optimizer):
    """The optimizer with fused updates if it is Keras' SGD, otherwise as it is."""
    if type(optimizer) is keras.optimizers.SGD:
        return _remade(FusedSGD, optimizer, rate_of(optimizer))
    return optimizer


def fresh(optimizer):
    """A new optimizer with the settings of the given one, in its initial state."""
    return _remade(type(optimizer), optimizer, rate_of(optimizer))


def copies(optimizer, count):
    """New optimizers with the settings of the given one, in their initial state.

    The schedule sets their learning rates. They neither clip to a `global_clipnorm`, since that is
    a norm over all blocks, nor undo a `loss_scale_factor`: the trainer does both.

    Raises
    ------
    ValueError
        If its `get_config` leaves out a setting.
    """
    rate = rate_of(optimizer)
    made = [
        _remade(type(optimizer), optimizer, rate if isinstance(rate, float) else 0.0)
        for _ in range(count)
    ]
    for block_optimizer in made:
        block_optimizer.global_clipnorm = block_optimizer.loss_scale_factor = None
        if not tf.distribute.has_strategy():
            # There is nothing to sum over, and TensorFlow would hold the graph for good: it
            # registers the sum's gradient for the whole process.
            block_optimizer._all_reduce_sum_gradients = list  # noqa: SLF001
    return made


def rate_of(optimizer):
    """The learning rate that an optimizer was given: a number, or a Keras schedule.

    Raises
    ------
    ValueError
        If it is a callable of another kind.
    """
    rate = optimizer._learning_rate  # noqa: SLF001 the public property is the value of now
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate
    if callable(rate):
        raise ValueError(
            "The optimizer's learning rate must be a number or a Keras learning-rate schedule. "
            f"{received(rate)}"
        )
    # Keras keeps a number as a float32; the shortest form of that is what was given.
    return float(str(np.float32(rate)))


def to_dict(optimizer):
    """An optimizer in plain values, from which `make_optimizer` makes it again."""
    return {**keras.optimizers.serialize(optimizer), "excluded": _excluded(optimizer)}


def check_weight_decay(optimizer, weight_decay):
    """Refuse an L2 penalty beside an optimizer that decays weights itself.

    Raises
    ------
    ValueError
        If both would shrink the weights.
    """
    own = {
        name: value
        for name, value in vars(optimizer).items()
        if name.endswith("weight_decay") and isinstance(value, (int, float)) and value
    }
    if weight_decay and own:
        name, value = next(iter(own.items()))
        raise ValueError(
            "weight_decay must be given once, as an L2 penalty (weight_decay) or to the optimizer. "
            f"Received: {weight_decay} and {type(optimizer).__name__}'s {name}={value}; set one of "
            "them to 0"
        )


def _by_name(spec):
    """An optimizer from its name, `(name, arguments)`, or a dict with a `name`."""
    if isinstance(spec, dict):
        arguments = dict(spec)
        name = arguments.pop("name", None)
    elif isinstance(spec, (tuple, list)) and len(spec) == 2 and isinstance(spec[1], dict):
        name, arguments = spec
    else:
        name, arguments = spec, {}
    kinds = {
        key: value
        for key, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
    }
    kinds["SGD"] = FusedSGD
    lowered = name.lower() if isinstance(name, str) else None
    known = {key.lower(): key for key in kinds}.get(lowered)
    if known is None:
        raise ValueError(
            "optimizer must be a Keras optimizer, its name, (name, arguments), or a dict with a "
            f"name. {received(spec)}{OTHERS.get(lowered, did_you_mean(name, kinds))}"
        )
    kind = kinds[known]
    _check_kind(kind)
    check_keys(arguments, _argument_names(kind), f"optimizer '{name}'")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"optimizer: Keras makes no {known} of this: {error}") from error


def _argument_names(kind):
    """What a class of optimizers takes: FusedSGD hands on to Keras' class what that takes."""
    return set().union(*map(argument_names, kind.__mro__[:2]))


def _read(saved):
    """The optimizer that `to_dict` wrote."""
    entries = copy.deepcopy(saved)  # Keras changes it
    excluded = entries.pop("excluded", None)
    try:
        # `keras.optimizers.deserialize` gives a name, not an optimizer, for some of Keras' own.
        optimizer = known.deserialize(entries)
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is no optimizer")
    except Exception as error:  # whatever Keras fails with
        raise ValueError(
            f"optimizer: Keras can't read back {name_of(saved.get('class_name'))}. Register its "
            "class with keras.saving.register_keras_serializable and import it, or give "
            f"'optimizer' in the config again ({first_line(error)})"
        ) from error
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=[excluded])
    return optimizer


def _check_kind(kind):
    """Refuse a class of optimizers that is more than a rule for each weight."""
    base = keras.optimizers.Optimizer
    whole = [name for name in WHOLE if getattr(kind, name) is not getattr(base, name)]
    if whole or kind.update_step is base.update_step:
        reason = f"has {whole[0]}() for all weights at once" if whole else "has no update_step()"
        instead = INSTEAD.get(kind.__name__, "one that has update_step() for a weight alone")
        raise ValueError(
            "optimizer: here each block has an optimizer of its own, so it must update each weight "
            f"by itself. Received: {kind.__name__}, which {reason}. Expected: {instead}"
        )


def _check_settings(optimizer):
    """Refuse settings and states of an optimizer that a copy of it would not follow."""
    name = type(optimizer).__name__
    if optimizer.built or int(optimizer._iterations):  # noqa: SLF001 counts single batches too
        raise ValueError(
            f"optimizer: expected a new one, without slots. Received: {name} that was used before "
            f"(iterations: {int(optimizer._iterations)})"  # noqa: SLF001
        )
    for setting in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
        if getattr(optimizer, setting) is not None:
            not_negative(f"{name}'s {setting}", getattr(optimizer, setting))
    if optimizer.loss_scale_factor is not None:
        positive(f"{name}'s loss_scale_factor", optimizer.loss_scale_factor)
    if optimizer.gradient_accumulation_steps:
        positive_whole(
            f"{name}'s gradient_accumulation_steps", optimizer.gradient_accumulation_steps
        )
    if getattr(optimizer, "_exclude_from_weight_decay", None):
        raise ValueError(
            "optimizer: exclude_from_weight_decay(var_list=…) names variables, and a copy of the "
            "network is trained, which has others. Expected: var_names"
        )
    if optimizer.use_ema and not optimizer.ema_overwrite_frequency:
        raise ValueError(
            "optimizer: use_ema=True needs an ema_overwrite_frequency: Keras puts the averages "
            "into the weights when `fit` ends, and training here has no such end. "
            f"Received: {name} with ema_overwrite_frequency={optimizer.ema_overwrite_frequency}"
        )
    if optimizer.use_ema:
        logging.getLogger(__name__).warning(
            "use_ema: averages overwrite the weights every %s updates; in between, predictions and "
            "files have the weights as they are then, not the averages with which `fit` ends.",
            optimizer.ema_overwrite_frequency,
        )


def _remade(kind, optimizer, learning_rate):
    """A new optimizer of this class with the settings of the given one."""
    config = dict(optimizer.get_config())
    if "learning_rate" in config:
        config["learning_rate"] = learning_rate
    try:
        made = kind.from_config(config)
        if excluded := _excluded(optimizer):
            made.exclude_from_weight_decay(var_names=[excluded])
        lost = _differences(optimizer, made)
    except TypeError as error:
        lost = [str(error)]
    if lost:
        raise ValueError(
            "optimizer: each block gets a copy, made from its get_config(), which must describe "
            f"all of it. Received: {type(optimizer).__name__}, whose copy differs in "
            f"{', '.join(lost)}"
        )
    return made


def _differences(optimizer, made):
    """Names of the plain attributes of an optimizer that its copy has otherwise."""
    return [
        name
        for name, value in vars(optimizer).items()
        if not name.startswith("_self_")  # TensorFlow's
        and (plain := _plain(value)) is not None
        and plain != _plain(vars(made).get(name, _plain))
    ]


def _plain(value):
    """JSON of a value, or None if it has none."""
    try:
        return json.dumps(value, default=lambda other: other.tolist())
    except (TypeError, ValueError, AttributeError):
        return None


def _excluded(optimizer):
    """The pattern of the names of weights that an optimizer does not decay, or None."""
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return pattern and pattern.pattern
