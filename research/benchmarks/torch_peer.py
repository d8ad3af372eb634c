"""PyTorch as a peer, where it is installed."""

import importlib.util


def torch_versions(images, labels, batch_size, sgd, name="PyTorch, eager, channels_last", **more):
    """The step of a network in PyTorch, by its name; nothing where there is no PyTorch.

    Parameters
    ----------
    images, labels : ndarray
    batch_size : int
    sgd : dict
    name : str
    **more
        As for `research.benchmarks.torch_step.torch_step`; `network` may be the name of a function
        in `research.benchmarks.torch_networks` and its arguments.
    """
    if not importlib.util.find_spec("torch"):
        return {}
    from research.benchmarks import torch_networks
    from research.benchmarks.torch_step import torch_step

    if "network" in more:
        make, arguments = more["network"]
        more["network"] = getattr(torch_networks, make)(10, **arguments)
    return {name: torch_step(images, labels, batch_size, sgd, **more)}
