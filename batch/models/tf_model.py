"""TFModel: a `Trainer` with the interface that BatchFlow expects of a model."""

import os
import threading
from typing import ClassVar

from batch.checks import not_negative, read_config, received
from batch.models.build import KEYS, build
from batch.models.feed import image_shape, make_examples, typed
from batch.models.fetches import check_fetches, fetch, labels_of, mean
from batch.models.inference import Inference
from batch.models.network import config_of
from batch.models.pixels import check_same_scale
from batch.models.prefetch import in_order
from batch.models.stored import StoredModel, exclusive
from batch.models.torch_calls import with_torch_words
from batch.models.torch_config import in_our_words, waits_for_images, with_shape
from batch.runtime import set_globals
from batch.training.microbatches import part_size
from batch.training.replicas import several_workers
from batch.training.trainer import Trainer

set_globals(prefetch=in_order)


class TFModel(StoredModel):
    """A BatchFlow model: a network of blocks that is trained block by block.

    Parameters
    ----------
    config : dict, or path of a file that `save` wrote, or that has a network alone
        - `inputs`: the shape of the images and the classes,
          `{'images': {'shape': (28, 28, 1)}, 'labels': {'classes': 10}}`. Only the classes are
          required: without a shape, the network is made when it sees its first images. Labels may
          have a `transform` of 'ohe'; both may have a `dtype`, and a `name` for feeds.
        - `input_block/inputs`: which of several inputs are the images.
        - `network`: a list of Keras layers, the blocks, stem first; the last gives the logits. Or a
          `keras.Sequential`, or the file of a trained network. The model trains copies, which
          compute what the given layers do (`batch.networks.copies.copied`), and `reset` goes back
          to what they were then. Subclasses that bring a network do not need it.
        - `base`: the same, to be fine-tuned: a new classifier for these classes replaces its last
          layer.
        - `freeze`: patterns of the names of blocks, or of layers in them, that never learn, as
          `['stem', 'block[0-3]']` (`batch.networks.freeze_by_name.freeze_layers`).
        - `frozen_batch_norm`: which statistics frozen normalizations use in training, whether they
          are frozen for good or by a schedule. 'inference' (the default): their moving statistics,
          as in prediction. 'batch': those of the batch. Neither updates the moving statistics.
          Blocks of `inference_mode` always use the moving ones.
        - `inference_mode`: patterns of the names of blocks that run in inference mode even while
          they learn, as Keras' `base(inputs, training=False)`: their weights change, their moving
          statistics do not, and nothing in them is dropped.
        - `cache`: where to keep what leading frozen blocks compute for each example, so that it is
          computed only once: 'auto' (the default), 'memory', 'mapped', 'compressed', 'off', or
          bytes of memory (`batch.feature_cache.prefix_cache.PrefixCache`). 'auto' is half of the
          memory that is free when the model is made; files of the model keep this number.
        - `optimizer`: the name of a Keras optimizer, `(name, arguments)`, a dict with a `name`, or
          a new Keras optimizer, of which each block gets a copy; SGD by default. Its rate may be a
          Keras learning-rate schedule. Its `global_clipnorm` bounds the norm over all active
          blocks. What it accumulates by `gradient_accumulation_steps`, a block applies in its last
          active step at the latest.
        - `learning_rate`: a constant rate, in place of the optimizer's own.
        - `decay`: changes that rate every `frequency` iterations, as in BatchFlow's Torch models
          (`batch.schedules.decay.Decays`).
        - `microbatch_size`: examples that go through the passes at a time, to save memory
          (`batch.training.microbatches.Microbatches`).
        - `depthwise_gradient`: 'tensorflow' (the default), or 'by_shape': the gradients of
          depthwise convolutions that are faster for their shapes, which changes last bits
          (`batch.training.depthwise.differentiate_by_shape`).
        - `strategy`: 'mirrored', 'multiworker' or a `tf.distribute.Strategy` of these kinds: which
          devices train together (`batch.training.strategy.make_strategy`). It stays in no file.
        - `schedule`: a callable from the iteration to the rates of the blocks, or
          `(name, arguments)` with FreezeOut, LayerFreezing, AutoFreeze, Annealed, Discriminative,
          MultiStep or Constant; in place of `learning_rate`.
        - `loss`: `softmax_cross_entropy` (the default), `sparse_softmax_cross_entropy`, the name of
          a Keras loss, `(name, arguments)`, a Keras loss, or a callable from labels `(n,)`, one-hot
          `(n, classes)` with the transform 'ohe', and logits `(n, classes)` to losses `(n,)`
          (`batch.training.losses.make_loss`). What layers add is added to their mean.
        - `weight_decay`: λ of an L2 penalty; its gradient λ·w is added to that of each weight w of
          the active blocks. 0 by default. The `weight_decay` of an optimizer is Keras' decoupled
          one; give one of the two.
        - `normalize`: `{'mean': […], 'std': […]}` of each channel, for images scaled to 0 … 1, as
          from `batch.training.preprocessing.channel_statistics`.
        - `augment`: True, or `{'pad': 4, 'flip': True}`: random crops and mirroring in training.
          With `'views': K` beside these, each example, known by rows or indices, has K fixed
          crops and is seen in these in turn; so the cache can keep what frozen blocks compute.
        - `output/ops`: callables from logits to arrays; their fetches are `output_` and their name.
          The names accuracy, labels, prob and proba may stand there too; their fetches always
          exist.
        - `survival`: trains with stochastic depth; the probability that the last residual block's
          branch survives a step. `rule` ('linear'), `mode` ('batch'), `scale` ('inference') and
          `warm_up` (0) as in `batch.networks.stochastic_depth.with_stochastic_depth`.
        - `seed`: of the initial weights, the augmentation and the stochastic depth; 0 by default.
          In a `network` of your own: of layers without weights, and of what dropout and the like
          draw. Layers with weights keep them, and initializers and layers with seeds theirs.
        - `precision`: `'float32'` or `'bfloat16'` (weights, statistics and loss stay float32).
        - the options of the subclass's network, and words of BatchFlow's Torch models for the
          keys above (`batch.models.torch_config`).

    Attributes
    ----------
    network : keras.Sequential
        The blocks.
    trainer : Trainer
        It trains them.

    Raises
    ------
    ValueError
        If the config holds an unknown key or a value that does not fit.

    Notes
    -----
    Several threads may use a model: steps, predictions and saves wait for each other. A pipeline
    that prefetches makes steps in the caller's order (`batch.models.prefetch`).
    """

    DEFAULTS: ClassVar = {}  # a subclass's options of its network, and other defaults

    def __init__(self, config=None, **options):
        self._lock = threading.RLock()
        if options:
            raise TypeError(
                f"{type(self).__name__} takes its options in a dict, as in "
                f"{type(self).__name__}({{'inputs': …, {repr(options)[1:]}). "
                f"Received: {', '.join(options)}"
            )
        if isinstance(config, (str, os.PathLike)):
            config = config_of(config)
        allowed = {**self.keys(), "build": None, "load": ("path", "fmt", "pickle_module")}
        config = read_config(config, allowed, type(self).__name__)
        config.pop("build", None)
        load = config.pop("load", None)
        config = in_our_words(config, type(self))
        if load is not None:
            if not isinstance(load, dict) or "path" not in load:
                raise ValueError(f"load must be {{'path': path}}. {received(load)}")
            self._open(config, **load)
        elif waits_for_images(config):
            self.config = config
        else:
            self._begin(build(self, config))

    def __getattr__(self, name):
        waits = "config" in vars(self) and "trainer" not in vars(self)
        reason = ": it is made when it sees its first images, or is given their shape" * waits
        raise AttributeError(f"{type(self).__name__} has no {name}{reason}.")

    def _make_for(self, images, feed_dict):
        """Make the network of a model that waited for its first images."""
        if "trainer" not in vars(self):
            images = (feed_dict or {}).get("images") if images is None else images
            self._begin(build(self, with_shape(self.config, image_shape(typed(images)))))

    def _begin(self, parts):
        """Begin training from these parts, at iteration 0."""
        begun = vars(self).get("trainer")
        cache = begun.cache.storage if begun else parts.config.get("cache", "auto")
        vars(self).update(vars(parts))
        self.trainer = Trainer(
            self.network,
            self.optimizer,
            self.schedule,
            loss=self.loss,
            preprocessing=self.preprocessing,
            weight_decay=not_negative("weight_decay", self.config.get("weight_decay", 0.0)),
            frozen_batch_norm=self.config.get("frozen_batch_norm", "inference"),
            inference_mode=self.inference_mode,
            cache=cache,
            microbatch_size=part_size("microbatch_size", self.config.get("microbatch_size")),
            depthwise_gradient=self.config.get("depthwise_gradient", "tensorflow"),
            strategy=self.strategy,
        )
        self.inference = Inference(self.network, self.preprocessing)
        self._white = None  # in the images that it was trained on, as far as that is known

    @classmethod
    def keys(cls):
        """The keys that a config may have, as `read_config` takes them."""
        return {**dict.fromkeys(cls.DEFAULTS), **KEYS}

    @classmethod
    def options(cls):
        """Keys of a config that are options of the network that the model brings."""
        return tuple(key for key in cls.DEFAULTS if key not in KEYS)

    def make_network(self, shape, classes, seed):
        """The blocks, for images of `shape` (H, W, C); subclasses bring their own.

        The options of a subclass are passed by name.
        """
        raise ValueError(
            f"{type(self).__name__} needs a 'network': a list of Keras layers, the last of which "
            f"gives {classes} logits for images of shape {shape}."
        )

    @classmethod
    def brings_network(cls):
        """Whether the model has a network where the config has none."""
        return cls.make_network is not TFModel.make_network

    @property
    def classes(self):
        """Number of classes."""
        return self.inputs.classes

    @property
    def iteration(self):
        """Training steps made so far."""
        return self.trainer.iteration

    @property
    def frozen(self):
        """Leading blocks that were frozen in the last training step."""
        return self.trainer.frozen

    @with_torch_words
    @exclusive
    def train(
        self,
        images=None,
        labels=None,
        indices=None,
        fetches="loss",
        feed_dict=None,
        rows=None,
        loss_weights=None,
    ):
        """One training step.

        Parameters
        ----------
        images : array_like, shape (N, H, W) or (N, H, W, C), or (N, L)
            `uint8` is divided by 255, anything else is taken as it is; what almost surely is on
            another scale than the network takes is refused. An array moves to the device only once,
            and again when rows that a batch has were changed in place since; one in a mapped file
            stays there, and the rows of each batch are read.
        labels : array_like, shape (N,) or (N, classes)
            Class numbers, or one-hot rows.
        indices : array_like of int or str, shape (N,), optional
            Ids: which example of the dataset each image is. The cache needs them if images are
            other arrays in every step.
        fetches : str or sequence of str
            What to return, as in `predict`, but of the network in training mode, before the update.
        feed_dict : dict, optional
            In place of images, labels, indices and loss_weights: a dict of these, images and labels
            by their names in the config's `inputs`.
        inputs, targets, outputs
            BatchFlow's words for images, labels and fetches
            (`batch.models.torch_calls.with_torch_words`).
        rows : array_like of int, shape (n,), or of bool, shape (N,), optional
            Positions of the examples to train on, or a mask of them; all by default.
        loss_weights : array_like, shape (n,), optional
            How much each of these rows counts, 0 or more: the loss is Σ wᵢ·lᵢ / Σ wᵢ.

        Returns
        -------
        float or ndarray, or a list of them in the order of `fetches`

        Raises
        ------
        ValueError
            If images, labels or rows are missing, or do not fit the network or each other.
        TrainingError
            If the loss is not finite.
        """
        self._make_for(images, feed_dict)
        given = {"images": images, "labels": labels, "indices": indices}
        examples = make_examples(self.inputs, rows, feed_dict, **given, loss_weights=loss_weights)
        if self.preprocessing.views and rows is None and examples.ids is None:
            raise ValueError(
                "The 'views' of 'augment' need to know which example each image is: give indices "
                "(an id for each image), or rows of an array. Received: neither"
            )
        if examples.labels is None:
            raise ValueError(
                f"Training needs {self.inputs.labels[0]}, and none were given. Received: None"
            )
        check_fetches(fetches, self.fetches, only_losses=several_workers(self.strategy))
        check_same_scale(examples.pixels, self._white)
        loss, logits = self.trainer.step(examples)
        if examples.pixels is not None:
            self._white = examples.pixels.white or self._white
        losses = {"loss": lambda: loss, "data_loss": lambda: self.trainer.data_loss}
        return fetch(fetches, self.fetches, logits, examples=examples, losses=losses)

    @with_torch_words
    @exclusive
    def predict(
        self,
        images=None,
        labels=None,
        indices=None,
        fetches="predictions",
        feed_dict=None,
        rows=None,
        loss_weights=None,
    ):
        """Predictions of the network, in inference mode.

        Parameters
        ----------
        images, indices, feed_dict, rows, inputs, targets, outputs
            As in `train`.
        labels : array_like, optional
            As in `train`; only accuracies and losses need them.
        loss_weights : array_like, optional
            As in `train`; accuracies and losses are weighted by them.
        fetches : str or sequence of str
            - `predictions`: logits, shape (n, classes)
            - `output_prob`, `output_proba`: probabilities, shape (n, classes)
            - `output_labels`: class numbers, shape (n,)
            - `output_sigmoid`, `output_softplus`: of the logits, shape (n, classes)
            - `output_accuracy`: share of the images whose predicted class is right
            - `output_top_5`, or another number: share whose class is among the 5 likeliest
            - `loss`: mean loss, and what layers add to it: penalties of weights and of outputs
              (regularizers), `add_loss`
            - `data_loss`: mean loss alone
            - `output_` and the name of a callable in the config's `output/ops`

        Returns
        -------
        ndarray or float, or a list of them
            In the order of `fetches`.
        """
        self._make_for(images, feed_dict)
        given = {"images": images, "labels": labels, "indices": indices}
        examples = make_examples(self.inputs, rows, feed_dict, **given, loss_weights=loss_weights)
        check_fetches(fetches, self.fetches, with_labels=examples.labels is not None)
        check_same_scale(examples.pixels, self._white)
        logits, added = self.inference(examples)

        def data_loss():
            return mean(self.loss(labels_of(examples), logits), examples)

        losses = {"loss": lambda: data_loss() + added, "data_loss": data_loss}
        return fetch(fetches, self.fetches, logits, examples=examples, losses=losses)

    @exclusive
    def reset(self):
        """Go back to the initial weights and slots and to iteration 0.

        All that the network draws begins anew, too. If the network came from a file alone, the
        initial weights are those in the file.
        """
        if "trainer" in vars(self):
            self._begin(build(self, self.config))
