"""A Keras model that is made in the scope of a `MirroredStrategy`: its trainer uses the devices."""

import keras
import tensorflow as tf

from batch.training.replicas import several_workers
from batch.training.strategy import KINDS, make_strategy


class Distributed(keras.Model):
    """A Keras model whose batches its trainer divides among devices, and Keras does not.

    Its variables, as those of its optimizer and metrics, are on the first device alone, for Keras'
    own loops; the trainer makes the copies on others (`batch.training.replicas`).

    Attributes
    ----------
    strategy : tf.distribute.MirroredStrategy or None
        In whose scope it was made.

    Raises
    ------
    ValueError
        If it is made in the scope of a strategy of another kind, or of several workers.
    """

    def __init__(self, name=None):
        strategy = _strategy_here()
        super().__init__(name=name)
        self.strategy = strategy
        if strategy is not None:
            self._distribute_strategy = None  # so that Keras leaves batches whole

    @property
    def distribute_strategy(self):
        """That of Keras' own loops: none, if the trainer has one."""
        if self.strategy is not None and tf.distribute.has_strategy():
            raise ValueError(
                "fit, evaluate and predict must be called outside of the strategy's scope: only "
                "the model is made, and compiled, in it. Received: a call within it"
            )
        return super().distribute_strategy

    def use_first_device(self, *given):
        """Put the variables of network, given optimizers and metrics on the first device alone."""
        if self.strategy is None:
            return
        kinds = keras.optimizers.Optimizer, keras.metrics.Metric
        parts = [each for each in keras.tree.flatten(given) if isinstance(each, kinds)]
        for part in filter(None, (self.network, self._loss_tracker, *parts)):
            for variable in part.variables:
                if isinstance(variable.value, tf.distribute.DistributedValues):
                    values = self.strategy.experimental_local_results(variable.value)
                    variable._value = values[0]  # noqa: SLF001


def counts_by_weight(loss):
    """Whether a Keras loss divides by the sum of the examples' weights."""
    return getattr(loss, "reduction", "") == "mean_with_sample_weight"


def _strategy_here():
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1 and not isinstance(strategy, KINDS):
        return None
    if several_workers(strategy):
        raise ValueError(
            "A BlockModel can't train with several workers, since Keras' fit would divide the "
            "batches: use a TFModel with the strategy 'multiworker'. Received: the scope of a "
            f"{type(strategy).__name__}"
        )
    return make_strategy(strategy)
