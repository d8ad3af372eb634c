"""ResBatch: training and testing as chained steps of a BatchFlow pipeline."""

import logging
import threading

import numpy as np
from batchflow import Batch, Dataset, action
from batchflow.named_expr import eval_expr

from batch.checks import (
    as_dict,
    check_keys,
    even,
    numeric,
    positive,
    positive_whole,
    received,
    true_or_false,
    whole,
)
from batch.data.data import load_data
from batch.data.labels import class_numbers, count_classes, named
from batch.models.feed import image_shape, typed
from batch.models.named import MODELS
from batch.models.pipeline_config import check_outer_keys, model_config
from batch.models.pipelines import batch_ids, batch_rows, check_delivery, keep_lists
from batch.runtime import set_globals
from batch.spelling import did_you_mean

CLASSIC = {"optimizer": ("SGD", {"learning_rate": 0.03, "momentum": 0.8, "nesterov": True})}
DEFAULTS = {
    "resnet": CLASSIC,
    "freeznet": {
        "optimizer": ("SGD", {"momentum": 0.9, "nesterov": True, "rate_outside": True}),
        "iteration": 300,
        "learning_rate": 0.06,
        "degree": 1,
        "scaled": False,
        "t_0": 0.6,
        "finetune_rate": 1e-2,
        "count_classifier": False,
    },
    "stochastic": {**CLASSIC, "survival": 0.6},
}
ACTIONS = ("train_res", "train_freez", "train_stochastic", "test", "add_loss_weights")
FREEZING = tuple(key for key in DEFAULTS["freeznet"] if key != "optimizer")


set_globals(batchflow=True)
_making = threading.Lock()  # two threads must not make a model twice


class ResBatch(Batch):
    """A batch whose actions train and test residual networks.

    A pipeline may have any of the actions any number of times. An action with arrays gathers their
    rows by `batch.indices`: the index of the dataset must be of rows of these arrays. An action
    without arrays takes the batch's own components. For each batch it appends one number to the
    list that it was given, or stores it in `save_to`, as in `save_to=V('loss', mode='a')`.

    The models are `pipeline.m('resnet')`, `pipeline.m('freeznet')` and `pipeline.m('stochastic')`,
    or have the `name` of the action. They are made at the first batch, from the pipeline's config
    under `resnet`, `freeznet` (or `freezeout`) or `stochastic`. Keys under the name of the action
    replace these; a key beside them that is nearly one of them is refused. All keys are optional:

    - all three: those of `TFModel` except `inputs`; `model`, the name of a model in
      `batch.models.named.MODELS` ('resnet', the small ResNet), with the options of its network;
      `classes`, if the labels do not show all classes
    - `freeznet`: `iteration` (300), `learning_rate` (0.06), `degree` (1), `scaled` (False), `t_0`
      (0.6), `finetune_rate` (0.01; None for none), `count_classifier` (False). `scaled` divides
      the learning rate by each block's last iteration here.
    - `stochastic`: `survival` (0.6). Any of the three may have `survival`, and with it `rule`,
      `mode`, `scale` and `warm_up`. A frozen block is never dropped.
    """

    components = "images", "labels"
    model_actions = "train_res", "train_freez", "train_stochastic", "test"  # never run ahead

    @property
    def pipeline(self):
        """The pipeline the batch is being used in."""
        return super().pipeline

    @pipeline.setter
    def pipeline(self, value):
        # BatchFlow sets it before it evaluates the arguments of the pipeline's actions.
        if value is not None:
            keep_lists(value._actions, ACTIONS)  # noqa: SLF001
        Batch.pipeline.fset(self, value)

    @action(no_eval="save_to")
    def train_res(
        self,
        loss=None,
        images=None,
        labels=None,
        name="resnet",
        save_to=None,
        loss_weights=None,
    ):
        """Train a classic ResNet on this batch: constant rate 0.03, momentum 0.8 by default.

        Parameters
        ----------
        loss : list, optional
            Gets the loss of this batch appended.
        images : array, shape (N, H, W) or (N, H, W, C), optional
            `uint8` is divided by 255, anything else is taken as it is.
        labels : array, shape (N,) or (N, classes), optional
            Class numbers, or one-hot rows.
        name : str
            Name of the model.
        save_to : named expression, optional
            Where to store the loss.
        loss_weights : array, shape (N,), optional
            How much each example counts, 0 or more: the loss of a batch is Σ wᵢ·lᵢ / Σ wᵢ. By
            default, the weights are those from `add_loss_weights`, or all alike.
        """
        examples = images, labels, loss_weights
        return self._train("resnet", name, loss, examples=examples, save_to=save_to)

    @action(no_eval="save_to")
    def train_freez(
        self,
        loss=None,
        images=None,
        labels=None,
        name="freeznet",
        save_to=None,
        loss_weights=None,
    ):
        """Train a ResNet with FreezeOut on this batch; the arguments are those of `train_res`."""
        examples = images, labels, loss_weights
        return self._train("freeznet", name, loss, examples=examples, save_to=save_to)

    @action(no_eval="save_to")
    def train_stochastic(
        self,
        loss=None,
        images=None,
        labels=None,
        name="stochastic",
        save_to=None,
        loss_weights=None,
    ):
        """Train a ResNet with stochastic depth on this batch: survival falls linearly to 0.6.

        The four branches of the small ResNet survive with 0.9, 0.8, 0.7 and 0.6: by the paper's
        formula it is 1 before the first of them. The arguments are those of `train_res`.
        """
        examples = images, labels, loss_weights
        return self._train("stochastic", name, loss, examples=examples, save_to=save_to)

    @action(no_eval="save_to")
    def test(
        self, name, accuracies=None, images=None, labels=None, save_to=None, loss_weights=None
    ):
        """Append the accuracy of a model on this batch to `accuracies`.

        The other arguments are those of `train_res`. With weights, it is a weighted mean.
        """
        check_delivery(name, "accuracies", accuracies, save_to)
        *examples, rows, weights = self._examples(images, labels, loss_weights)
        model = self._model(name)
        accuracy = model.predict(
            *examples, fetches="output_accuracy", rows=rows, loss_weights=weights
        )
        return self._deliver(accuracy, accuracies, save_to)

    @action
    def add_loss_weights(self, weights=None, id_to_mask=None):
        """Give each example of the batch a weight in the loss, as the component `loss_weights`.

        They replace earlier weights.

        Parameters
        ----------
        weights : array, shape (N,), optional
            For all examples of the dataset, 0 or more; 1 by default.
        id_to_mask : int, optional
            Examples of this class get weight 0.
        """
        chosen = np.ones(len(self)) if weights is None else self._chosen(weights, name="weights")
        if id_to_mask is not None:
            id_to_mask = whole("id_to_mask", id_to_mask)
            if self.labels is None:
                raise ValueError(
                    f"id_to_mask needs labels, and the batch has none. Received: {id_to_mask}"
                )
            chosen = np.where(class_numbers(self.labels) == id_to_mask, 0, chosen)
        if "loss_weights" in self.components:
            self.loss_weights = chosen
        else:
            self.add_components("loss_weights", chosen)
        return self

    def _train(self, kind, name, losses, *, examples, save_to):
        check_delivery(name, "loss", losses, save_to)
        images, labels, rows, weights = self._examples(*examples)
        models = self.pipeline.models
        with _making:
            if models.get(name) is None:
                model = self._new_model(
                    kind, name, images, labels=labels, from_components=rows is None
                )
                models.add_model(name, model)
        model = self.pipeline.m(name, batch=self)
        ids = batch_ids(self, len(images)) if rows is None else None
        loss = model.train(images, labels, ids, rows=rows, loss_weights=weights)
        return self._deliver(loss, losses, save_to)

    def _examples(self, images, labels, loss_weights):
        """Images, labels, the batch's rows in them (None: all), and the weights of its examples."""
        if (images is None) != (labels is None):
            given = "labels" if images is None else "images"
            raise ValueError(f"Give both images and labels, or neither. Received: {given} alone")
        if images is not None:
            images = typed(images)
            labels = labels if hasattr(labels, "shape") else even("labels", labels)
            image_shape(images)  # or it raises
        if loss_weights is None:
            weights = getattr(self, "loss_weights", None)
        else:
            weights = self._chosen(loss_weights, None if images is None else len(images))
        if images is not None:
            return images, labels, batch_rows(self, len(images)), weights
        if self.images is None or self.labels is None:
            raise ValueError(
                "The batch has no images and labels: give arrays to the action, or a dataset with "
                "preloaded=(images, labels)."
            )
        return typed(self.images), self.labels, None, weights

    def _chosen(self, weights, count=None, name="loss_weights"):
        """The weights of the batch's examples, from weights of all, `count` examples if given."""
        weights = numeric(name, weights)
        if weights.ndim != 1 or count not in (None, len(weights)):
            raise ValueError(
                f"{name} must be a number for each example of the dataset"
                f"{f', {count}' if count else ''}. Received: shape {weights.shape}"
            )
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(f"{name} must be finite numbers, 0 or more. {received(weights)}")
        return weights[batch_rows(self, len(weights), "loss_weights")]

    def _new_model(self, kind, name, images, *, labels, from_components):
        check_outer_keys(self.pipeline, DEFAULTS)
        config = dict(DEFAULTS[kind])
        for own in model_config(self.pipeline, kind, name):
            own = eval_expr(own, batch=self)
            config.update(as_dict(own, f"config of '{name}'"))
        model = config.pop("model", "resnet")
        if not isinstance(model, str) or model not in MODELS:
            hint = did_you_mean(model, MODELS)
            raise ValueError(f"model must be one of {', '.join(MODELS)}. {received(model)}{hint}")
        freezing = FREEZING if kind == "freeznet" else ()
        allowed = {*MODELS[model].keys(), "classes", "model", *freezing} - {"inputs", "input_block"}
        check_keys(config, allowed, f"'{name}'")
        if kind == "freeznet":
            config = with_freezing(config)
        classes = config.pop("classes", None)
        if classes is None:
            classes = self._count_classes(labels, from_components)
        shape = image_shape(images)
        inputs = {"images": {"shape": shape}, "labels": {"classes": classes}}
        return MODELS[model]({**config, "inputs": inputs})

    def _count_classes(self, labels, from_components):
        """How many classes all labels have; a batch may not have all of them."""
        data = self.dataset.data if from_components and self.dataset is not None else None
        if data is not None:
            labels = data.labels
        elif from_components:
            if np.shape(labels)[1:] in ((), (1,)):
                raise ValueError(
                    "The labels of one batch don't tell how many classes there are: give 'classes' "
                    "in the pipeline's config, as in {'resnet': {'classes': 10}}."
                )
            return np.shape(labels)[1]
        classes = max(count_classes(labels), 2)
        missing = np.setdiff1d(np.arange(classes), class_numbers(labels))
        if len(missing):
            logging.getLogger(__name__).warning("No example of %s.", named(missing))
        return classes

    def _model(self, name):
        """A model of the pipeline, by its name."""
        try:
            return self.pipeline.m(name, batch=self)
        except KeyError:
            raise ValueError(f"name must be that of a model. {received(name)}") from None

    def _deliver(self, value, values, save_to):
        if values is not None:
            values.append(value)
        if save_to is not None:
            save_to.set(value, batch=self)
        return self


def with_freezing(config):
    """The config of a `freeznet` with a schedule in place of its keys of freezing.

    `scaled` means what it means in the reference notebook: α_i(0) = learning_rate/t_i with t_i in
    iterations. That is the paper's scaling of the rate learning_rate/iteration.
    """
    freezing = {key: config[key] for key in FREEZING}
    rest = {key: value for key, value in config.items() if key not in FREEZING}
    if "schedule" in rest:
        changed = [key for key in FREEZING if freezing[key] != DEFAULTS["freeznet"][key]]
        if changed:
            raise ValueError(f"Give 'schedule' or {', '.join(changed)}, not both.")
        return rest
    iterations = positive_whole("iteration", freezing.pop("iteration"))
    if true_or_false("scaled", freezing["scaled"]):
        freezing["learning_rate"] = positive("learning_rate", freezing["learning_rate"])
        freezing["learning_rate"] /= iterations
    return {**rest, "schedule": ("FreezeOut", {"iterations": iterations, **freezing})}


def openset(source="digits"):
    """Load a dataset as two BatchFlow datasets of `ResBatch`, for training and testing.

    Parameters
    ----------
    source : str or path
        A name or a path, as in `utils.load_data`.

    Returns
    -------
    Opened
        With `train` and `test`, BatchFlow datasets with the components images and labels.
    """
    return Opened(load_data(source))


class Opened:
    """The result of `openset`: `train` and `test`, and the `data` that they were made from."""

    def __init__(self, data):
        self.data = data
        self.train = _dataset(data.train)
        self.test = _dataset(data.test)


def _dataset(split):
    return Dataset(len(split.labels), ResBatch, preloaded=(split.images, split.labels))
