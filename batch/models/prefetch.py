"""BatchFlow's `prefetch` for pipelines with our models: batches are loaded ahead, nothing more.

By itself BatchFlow runs all actions of the next batches at once, in other threads. Then the order
of the steps differs from run to run, more steps are made than were asked for, and with
`n_epochs=None` the threads never end. Here only those leading actions run ahead that load a batch
or change it. All that follows is done when the batch is asked for, in the caller's thread: a model
is trained and tested exactly as without `prefetch`.
"""

import asyncio
import collections
import concurrent.futures
import functools
import os
import secrets

from batchflow import Dataset, Pipeline
from batchflow._const import IMPORT_MODEL_ID, LOAD_MODEL_ID, PREDICT_MODEL_ID, TRAIN_MODEL_ID
from batchflow.model_dir import NonInitializedModel
from batchflow.named_expr import IF, AlgebraicNamedExpression, B, C, NamedExpression, R, eval_expr
from batchflow.utils_random import make_seed_sequence

from batch.checks import received
from batch.models.pipeline_config import values_in
from batch.models.stored import StoredModel

OF_THE_BATCH = (B, C, R, AlgebraicNamedExpression, IF)  # named expressions that others don't change


def in_order(gen_batch):
    """BatchFlow's `PipelineExecutor.gen_batch`, with the steps of our models in the caller's order.

    Raises
    ------
    ValueError
        Before anything is done, if batches are to be prefetched in other processes.
    """

    @functools.wraps(gen_batch)
    def generate(executor, *args, prefetch=0, **settings):
        pipeline, dataset = executor.pipeline, settings.get("dataset")
        if prefetch <= 0 or not _uses_ours(pipeline, dataset):
            return gen_batch(executor, *args, prefetch=prefetch, **settings)
        target = settings.pop("target", "threads")
        if target not in ("threads", "t") and not isinstance(
            target, concurrent.futures.ThreadPoolExecutor
        ):
            raise ValueError(
                "target must be 'threads' for prefetch in a pipeline that uses our models: another "
                f"process would train a copy. {received(target)}"
            )
        count = _loading_actions(pipeline, dataset)
        if count and not settings.get("rebatch") and not settings.get("profile"):
            settings["shuffle"] = _as_number(settings.get("shuffle", False))
            *_, seed = make_seed_sequence(settings["shuffle"]).spawn(3)
            ahead = os.cpu_count() * 4 if prefetch is True else prefetch
            load = functools.partial(_load, pipeline, pipeline._actions[:count])  # noqa: SLF001
            settings["dataset"] = _LoadedAhead(dataset, load, ahead, seed)
            executor.pipeline = _AfterLoading(pipeline, pipeline._actions[count:])  # noqa: SLF001
        return gen_batch(executor, *args, **settings)

    return generate


class _LoadedAhead:
    """A dataset whose batches are loaded ahead: it gives futures of them."""

    def __init__(self, dataset, load, ahead, seed):
        self.dataset, self.load, self.ahead, self.seed = dataset, load, ahead, seed

    def gen_batch(self, *args, **kwargs):
        pool = concurrent.futures.ThreadPoolExecutor(self.ahead)
        waiting = collections.deque()
        try:
            for batch in self.dataset.gen_batch(*args, **kwargs):
                waiting.append(pool.submit(self.load, batch, self.seed.spawn(1)[0]))
                if len(waiting) > self.ahead:
                    yield waiting.popleft()
            yield from waiting
        finally:
            pool.shutdown(cancel_futures=True)


class _AfterLoading:
    """A pipeline that is given futures of loaded batches, and does the rest of its actions."""

    def __init__(self, pipeline, actions):
        vars(self).update(_pipeline=pipeline, _left=actions)

    def __getattr__(self, name):
        return getattr(self._pipeline, name)

    def __setattr__(self, name, value):
        setattr(self._pipeline, name, value)

    def __len__(self):
        return len(self._pipeline)

    def execute_for(self, loading, notifier=None, iteration=None, seed=None):
        """As `Pipeline.execute_for`, of which this is the second part; `_load` is the first."""
        batch, self.random_seed, self.random = loading.result()  # seeds are used up, so not `seed`
        batch = self._pipeline._exec_all_actions(batch, self._left, iteration)  # noqa: SLF001
        if notifier:
            notifier.update(pipeline=self._pipeline, batch=batch)
        return batch


def _load(pipeline, actions, batch, seed):
    """Do the first actions for a batch; random numbers go on from where these leave them."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pipeline.random_seed = seed  # of this thread
        return pipeline._exec_all_actions(batch, actions), seed, pipeline.random  # noqa: SLF001
    finally:
        loop.close()


def _as_number(shuffle):
    """What BatchFlow takes for `shuffle`, as a seed that is known; below 0 nothing is shuffled."""
    if isinstance(shuffle, bool):
        return (1 if shuffle else -1) * (1 + secrets.randbits(64))
    return shuffle


def _uses_ours(pipeline, dataset):
    """Whether an action of a pipeline, or of those within it, trains or tests one of our models."""
    pipelines = list(_pipelines(pipeline))
    names = {entry["name"] for inner in pipelines for entry in inner._actions}  # noqa: SLF001
    datasets = [dataset, *(_value(inner.dataset, inner) for inner in pipelines)]
    if any(names.intersection(_model_actions(source)) for source in datasets):
        return True
    return bool(names & {TRAIN_MODEL_ID, PREDICT_MODEL_ID}) and any(map(_has_ours, pipelines))


def _pipelines(pipeline):
    yield pipeline
    for entry in pipeline._actions:  # noqa: SLF001
        for inner in (entry.get("pipeline"), *entry.get("pipelines", ())):
            if isinstance(inner, Pipeline):
                yield from _pipelines(inner)


def _value(expression, pipeline):
    """The value of a named expression, None if it needs a batch; other values as they are."""
    try:
        return eval_expr(expression, pipeline=pipeline)
    except Exception:  # whatever it fails with
        return None


def _model_actions(dataset):
    """Names of the actions of a dataset's batches that train or test our models."""
    return getattr(dataset.batch_class, "model_actions", ()) if isinstance(dataset, Dataset) else ()


def _has_ours(pipeline, seen=()):
    """Whether a pipeline has a model of ours, or will have it."""
    if pipeline in seen:
        return False
    sources = list(pipeline.models.models.values())
    for entry in (*pipeline.before._actions, *pipeline._actions):  # noqa: SLF001
        if entry["name"] in (IMPORT_MODEL_ID, LOAD_MODEL_ID):
            sources.append(entry.get("source", entry.get("model_class")))
    return any(_is_ours(source, pipeline, seen) for source in sources)


def _is_ours(source, pipeline, seen):
    """Whether a model, a class of models, or a pipeline that one is imported from, is ours."""
    if isinstance(source, NonInitializedModel):
        parts = source.model_class, source.source
        return any(_is_ours(part, pipeline, seen) for part in parts)
    source = _value(source, pipeline) if isinstance(source, NamedExpression) else source
    if isinstance(source, Pipeline):
        return _has_ours(source, (*seen, pipeline))
    return issubclass(source if isinstance(source, type) else type(source), StoredModel)


def _loading_actions(pipeline, dataset):
    """How many leading actions are the batch's own, and use nothing that later ones may change."""
    for count, entry in enumerate(pipeline._actions):  # noqa: SLF001
        foreign = entry["name"].startswith("#") or entry["name"] in _model_actions(dataset)
        if foreign or any(
            isinstance(value, NamedExpression) and not isinstance(value, OF_THE_BATCH)
            for value in values_in(entry)
        ):
            return count
    return len(pipeline._actions)  # noqa: SLF001
