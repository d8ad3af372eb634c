"""A few faults of those that `make soak` lets commands meet, at moments that a seed decides."""

import pytest


@pytest.mark.parametrize(
    ("name", "kinds", "seed"),
    [
        ("compare", ("SIGKILL",), 1),
        ("freezeout", ("SIGTERM",), 2),
        ("freezeout", ("full",), 3),
    ],
)
def test_a_command_goes_on_to_the_same_bits(faults, tmp_path_factory, name, kinds, seed):
    commands = faults.Faults(tmp_path_factory.mktemp("faults"), (name,), seed)
    commands.meet(kinds)
    assert commands.failures == []
    assert sum(commands.ended.values()) >= 1
