"""`resbatch train`: one run, to a folder."""

import contextlib
import dataclasses
import importlib

from batch.files import replacing
from research.commands import common
from research.commands.writing import Page, when_there_is_room
from research.console import say
from research.experiments.cache_memory import settled
from research.interruption import Interrupted
from research.storage import folders, results
from research.storage.locks import only_writer


def train(options):
    """`resbatch train`: one run, to a folder."""
    if options.dry_run:
        _dry_run(options)
        return
    with (
        folders.new_folder(options.out, "train", options.overwrite, options.resume) as place,
        contextlib.ExitStack() as stack,
    ):
        place.needless = () if options.checkpoint_every else (folders.CHECKPOINTS,)
        importlib.import_module("research.page.report")  # if matplotlib can't start, it is said now
        data, threads = common.prepared(options)
        from batch import flops
        from batch.models.network_file import write_keras_file
        from batch.training.strategy import make_strategy
        from research.experiments import prediction

        make_strategy(options.strategy)  # workers meet before TensorFlow computes anything

        base, experiment = _single(options, data)
        named = {base.label: experiment}
        asked = common.settings_of(options, base, data, named, [base.seed])
        asked = common.asked_of(asked, data, threads, named)
        place.begin(asked)
        if place.finished:
            say(f"{place.target} is finished: nothing is left to do")
            return
        run = _carried_out(options, experiment, data, place.path, stack)
        history, network = run.history, run.model.network
        base = dataclasses.replace(base, cache=run.experiment.cache)
        named, costs = {base.label: run.experiment}, {base.label: flops.block_costs(network)}
        if run.experiment.freezes_for_good:  # what learns in a classic run counts
            costs = prediction.costs(named, data)
        costs = common.predicting(options, named, costs, data)
        settings = common.settings_of(options, base, data, named, [base.seed])
        record = common.recorded(named, costs, base.iterations, data)
        prediction.fill_in_ratios(record["predicted_ratio"], [history], named, costs, base, data)
        weights = f"{options.save_weights or 'model'}.keras"
        record["network"] = _network(run.model, data, weights)
        record["data_sha256"] = asked["data_sha256"]
        exchange = _exchange(run.model.trainer.replicas)
        record |= {"exchange": exchange} if exchange else {}
        environment = common.environment_now(threads)

        def write():
            with replacing(place.path / weights) as new:
                write_keras_file(new, network)
            results.save(place.path, [history], settings, environment, **record)

        when_there_is_room(place, write)
        page = Page(place.path)
    split = "validation" if options.validate == "val" else "test"
    seconds = sum(history.seconds)
    accuracy = f"{split} accuracy {100 * history.accuracy:.2f} %"
    if exchange:
        say(
            "Exchanged: {bytes:,} bytes a replica; freezing spared {bytes_saved:,}".format(
                **exchange
            )
        )
    page.say_of(place, f"{base.label}: {accuracy}, {seconds:.1f} s of training")
    say(f"Results: {place.target}")


def _network(model, data, weights):
    """What it takes to use the network that was trained, beside its file."""
    mean, std = model.preprocessing.mean, model.preprocessing.std
    return {
        "weights": weights,
        "shape": model.inputs.shape,
        "classes": data.names or [str(label) for label in range(data.classes)],
        "normalize": None if mean is None else {"mean": mean, "std": std},
    }


def _exchange(replicas):
    """What replicas gave each other since the command began, in plain values; None without them."""
    names = ("count", "workers", "bytes", "bytes_saved")
    return replicas and {name: getattr(replicas, name) for name in names}


@contextlib.contextmanager
def _saved_if_interrupted(saver, run):
    """Within this context, an interruption saves a checkpoint of the run."""
    try:
        yield
    except Interrupted:
        if run.history:
            saver.save(run)
        raise


def _carried_out(options, experiment, data, folder, stack):
    """The run, made to its end, with all its callbacks; saved if interrupted until `stack` ends."""
    from batch.data.checkpoint import Checkpoints
    from research.running import callbacks
    from research.running.evaluation import Evaluation
    from research.running.metrics import default_name
    from research.running.mistakes import mistakes
    from research.running.progress import Progress
    from research.running.run import Run

    if (options.checkpoint_every or 0) > experiment.iterations:
        raise ValueError(
            f"--checkpoint-every {options.checkpoint_every} would save none: the run has "
            f"{experiment.iterations} iterations"
        )
    evaluation = Evaluation(options.eval_every, options.eval_batches, options.metrics)
    run = Run(experiment, data, evaluation=evaluation)
    checkpoints = Checkpoints(folder / folders.CHECKPOINTS, options.keep_checkpoints)
    if options.resume:
        run.resume(checkpoints)
        place = f"Going on after iteration {len(run.history)}"
        say(place if run.history else "No checkpoint: from the beginning")
    made = len(run.history)
    name = options.save_weights or default_name(experiment, data.name, options.epochs) + "_log"
    run.callbacks.append(callbacks.MetricsLog(folder / f"{name}.jsonl", made))
    saver = callbacks.CheckpointEvery(checkpoints, options.checkpoint_every)
    stack.enter_context(_saved_if_interrupted(saver, run))
    with contextlib.ExitStack() as logs:
        if options.eval_every:
            run.callbacks.append(callbacks.LogLine())
        if options.tensorboard:
            from research.running.tensorboard import TensorBoardLog

            logs.enter_context(only_writer(options.tensorboard))
            replace = options.overwrite or options.resume
            run.callbacks.append(TensorBoardLog(options.tensorboard, replace))
        run.callbacks.append(saver)
        progress = Progress(experiment.iterations, made, options.quiet, data.summary())
        run.callbacks.insert(0, logs.enter_context(progress))
        run.advance(experiment.iterations)
    run.history.mistakes = mistakes(run.model, data.test)
    return run


def _dry_run(options):
    data, _ = common.prepared(options)
    from research.commands.dry_run import describe

    _, experiment = _single(options, data)
    experiment = settled({"it": experiment})["it"]
    say(describe(experiment, data, measured=options.costs == "measured"))


def _single(options, data):
    """The experiment of a single run as it was asked for, and with the length that it will have."""
    from research.experiments import prediction
    from research.experiments.experiment import check

    base = common.experiment_of(options, data, method=options.method, seed=options.seed)
    check(base, data)
    if not options.const_time:
        return base, prediction.own_lengths({base.label: base}, data)[base.label]
    costs = prediction.costs({base.label: base}, data)[base.label]
    return base, prediction.equal_time(base, costs)
