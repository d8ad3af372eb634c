"""Training with freezing in one static graph, which can be exported and run without this package.

FreezeOut's authors asked how to do this with "some simple conditionals". There are two ways. One
conditional chooses among whole steps, one for each stage of the schedule. Or there is a conditional
around each block, which its learning rate decides.
"""

import numpy as np
import tensorflow as tf

from batch.checks import one_of
from batch.networks.entrance import entrance
from batch.schedules import observes
from batch.schedules.stages import stages

CONDITIONALS = ("blocks", "stages")


class StaticGraph(tf.Module):
    """One graph for a whole run: it takes the iteration, and that decides what is frozen.

    Parameters
    ----------
    trainer : Trainer
        Whose network, optimizers, schedule, loss and preprocessing the graph holds. The schedule is
        written into the graph, so it must be a pure function of the iteration.
    iterations : int
        The schedule is written into the graph up to this iteration, whose rates hold from there on.
    conditionals : {'blocks', 'stages'}
        'blocks' puts a conditional around each block that freezes; leading blocks must then freeze
        first. 'stages' is a `tf.switch_case` over the stages with a whole step in each branch; the
        graph then grows with blocks times stages.
    dtype : str
        Of the images: `uint8`, which the graph divides by 255, or `float32`.

    Raises
    ------
    ValueError
        If the conditionals are of another kind, or can't express the schedule, if the trainer has
        a strategy, if blocks freeze
        while their optimizers accumulate gradients, or if images would be scaled twice.

    Examples
    --------
    >>> import tempfile
    >>> import keras
    >>> from batch import TFModel
    >>> inputs = {"images": {"shape": (4, 4, 1)}, "labels": {"classes": 2}}
    >>> network = [keras.layers.Flatten(), keras.layers.Dense(2)]
    >>> graph = StaticGraph(TFModel({"inputs": inputs, "network": network}).trainer, 1000)
    >>> folder = tempfile.mkdtemp()
    >>> graph.save(folder)
    >>> loaded = tf.saved_model.load(folder)  # works in a process without this package
    >>> loss = loaded.train(tf.zeros((3, 4, 4, 1), tf.uint8), tf.constant([0, 1, 1], tf.int64), 0)
    >>> f"{loss:.2f}"
    '0.69'
    """

    def __init__(self, trainer, iterations, conditionals="blocks", *, dtype="uint8"):
        super().__init__()
        one_of("conditionals", conditionals, CONDITIONALS)
        if observes(trainer.schedule):
            raise ValueError(
                "A static graph needs a schedule that is a function of the iteration. "
                f"Received: {type(trainer.schedule).__name__}, which looks at training"
            )
        if trainer.preprocessing.views:
            raise ValueError(
                "A static graph takes no ids of examples, which the 'views' of 'augment' need. "
                f"Received: 'views': {trainer.preprocessing.views}"
            )
        if trainer.replicas:
            raise ValueError(
                "A static graph is for a single device: export a model without a strategy. "
                f"Received: {trainer.replicas.count} replicas"
            )
        _check_scale(trainer, tf.as_dtype(dtype))
        self._trainer = trainer
        rates = [trainer.plan.rates_at(iteration) for iteration in range(iterations + 1)]
        self._stages = stages(trainer.schedule, iterations + 1, trainer.blocks, trainer.plan.learns)
        self._conditionals = conditionals
        self._dtype = tf.as_dtype(dtype)
        if conditionals == "blocks" and not all(
            stage.leading or not any(stage.active) for stage in self._stages
        ):
            raise ValueError(
                "Conditionals around blocks need a schedule that freezes leading blocks first: use "
                "conditionals='stages'."
            )
        self._rates = np.array(rates, np.float32)
        if trainer.accumulates and len(self._stages) > 1:
            raise ValueError(
                "A static graph can't apply what gradient_accumulation_steps has accumulated when "
                "a block freezes. Received: a schedule that freezes blocks"
            )
        slots = [slot for optimizer in trainer.optimizers for slot in optimizer.variables]
        # A SavedModel holds the variables that are in attributes.
        self.state = [variable.value for variable in [*trainer.network.variables, *slots]]
        self.train, self.predict = self._functions()

    def save(self, path):
        """Export to a TensorFlow SavedModel, with `train` and `predict`, weights and slots."""
        tf.saved_model.save(self, str(path))

    def _functions(self):
        network = self._trainer.network
        images = tf.TensorSpec((None, *network.input_shape[1:]), self._dtype, name="images")
        labels = tf.TensorSpec((None,), tf.int64, name="labels")
        iteration = tf.TensorSpec((), tf.int32, name="iteration")
        train = tf.function(
            self._train, input_signature=[images, labels, iteration], autograph=False
        )
        predict = tf.function(self._predict, input_signature=[images], autograph=False)
        return train, predict

    def _train(self, images, labels, iteration):
        """A training step: the mean loss, before the update."""
        row = tf.minimum(iteration, len(self._rates) - 1)
        rates = tf.gather(tf.constant(self._rates), row)

        def step(active):
            features = self._trainer.preprocessing.training(images, iteration)
            loss, *_ = self._trainer.steps.trained(active, features, labels, rates=rates)
            return loss

        if self._conditionals == "blocks":
            return step(self._varying())
        kinds = list(dict.fromkeys(stage.active for stage in self._stages))
        branches = [lambda active=active: step(active) for active in kinds]
        of_stage = tf.constant([kinds.index(stage.active) for stage in self._stages], tf.int32)
        starts = tf.constant([stage.start for stage in self._stages], tf.int32)
        stage = tf.searchsorted(starts, row[None], side="right")[0] - 1
        return tf.switch_case(tf.gather(of_stage, stage), branches)

    def _varying(self):
        """Whether each block is active: None where that depends on the iteration."""
        by_block = zip(*(stage.active for stage in self._stages))
        return tuple(flags[0] if len(set(flags)) == 1 else None for flags in by_block)

    def _predict(self, images):
        """Logits in inference mode, shape (n, classes)."""
        features = self._trainer.preprocessing.inference(images)
        return tf.cast(self._trainer.network(features, training=False), tf.float32)


def _check_scale(trainer, dtype):
    """Refuse `uint8` where the network scales pixels itself."""
    found = entrance(trainer.network, trainer.preprocessing.inference)
    if dtype == tf.uint8 and found.is_of_255:
        raise ValueError(
            f"dtype must be 'float32': uint8 is divided by 255, and {' and '.join(found.by)} "
            "scales pixels from 0 to 255. Received: 'uint8'"
        )
