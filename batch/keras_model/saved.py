"""The state of a trainer in Keras' files: slots, iteration, and what a schedule saw."""

import json

import numpy as np

from batch.files import from_json
from batch.models.model_file import restore, state_of
from batch.networks.freeze_by_name import frozen_names

FROZEN = "frozen"  # names the layers that were frozen for good
TEXTS = {"run", FROZEN}


def state_now(trainer, frozen_then):
    """The state of a trainer, made when `frozen` of its network gave this: arrays by name."""
    return {**state_of(trainer), FROZEN: np.array(json.dumps(frozen_then))}


def set_state(trainer, state):
    """Set what `state_now` gave; blocks in which other layers are frozen now begin anew."""
    before = from_json(str(state.get(FROZEN)))
    if not isinstance(before, list) or len(before) != len(trainer.network.layers):
        raise ValueError("The file does not say which layers of each block were frozen.")
    pairs = enumerate(zip(before, frozen(trainer.network)))
    changed = [block for block, (then, now) in pairs if then != now]
    restore(trainer, {name: state[name] for name in state if name != FROZEN}, changed)


def write(state, store):
    """Write a state to what Keras gives for a layer's own variables."""
    for name, value in state.items():
        plain = np.frombuffer(str(value).encode(), np.uint8) if name in TEXTS else value
        store[name.replace("/", ".")] = plain


def read(store):
    """The state that `write` wrote; empty if there is none."""
    state = {name.replace(".", "/"): np.asarray(store[name]) for name in [*store.keys()]}
    for name in TEXTS & state.keys():
        state[name] = np.array(state[name].tobytes().decode())
    return state


def frozen(network):
    """Names of the layers that are frozen for good in each block."""
    return [sorted(frozen_names(block)) for block in network.layers]
