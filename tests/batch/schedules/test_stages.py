import numpy as np
import pytest

from batch import Constant, FreezeOut
from batch.schedules.stages import Stage, iterations_left, leading_frozen, stages


def test_stages_of_a_run():
    schedule = FreezeOut(3, 10, 0.1, t_0=0.5, degree=1, scaled=False)  # stops at 5, 7.5, 10
    assert stages(schedule, 12, 3) == [
        Stage(0, 5, (True, True, True, True)),
        Stage(5, 8, (False, True, True, True)),
        Stage(8, 10, (False, False, True, True)),
        Stage(10, 12, (False, False, False, False)),
    ]
    assert [stage.frozen for stage in stages(schedule, 12, 3)] == [0, 1, 2, 3]
    assert stages(Constant(2, 0.1), 7, 2) == [Stage(0, 7, (True, True, True))]


@pytest.mark.parametrize(
    ("iteration", "left"), [(0, 6), (5, 1), (6, 3), (9, 3), (11, 1), (12, np.inf), (40, np.inf)]
)
def test_iterations_left_until_other_blocks_are_frozen(iteration, left):
    schedule = FreezeOut(3, 12, 0.1, t_0=0.5, degree=1)  # stops after 6, 9 and 12
    assert iterations_left(schedule, lambda at: leading_frozen(schedule(at)), iteration) == left


def test_iterations_left_are_not_known_of_schedules_without_an_end():
    constant = Constant(3, 0.1)
    assert iterations_left(constant, lambda _: 0, 5) == np.inf
    watching = FreezeOut(3, 12, 0.1)
    watching.observe = print
    assert iterations_left(watching, lambda _: 0, 4) == 8
