import numpy as np
import pytest

from batch import Constant, MultiStep


def test_constant_never_changes():
    assert Constant(3, 0.03)(0).tolist() == Constant(3, 0.03)(10**6).tolist() == [0.03] * 3


def test_milestones_of_the_run():
    schedule = MultiStep(3, 200, 0.1)
    rates = [schedule(iteration)[0] for iteration in (0, 59, 60, 119, 120, 159, 160, 999)]
    expected = [0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 0.0008, 0.0008]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert schedule(0).shape == (3,)
    assert MultiStep(1, 7, 1.0, (), 0.2)(6).tolist() == [1.0]
    # 3 · 0.1 is 0.30000000000000004: the milestone is iteration 3 all the same.
    assert MultiStep(1, 10, 1.0, (3 * 0.1,), 0.5)(3).tolist() == [0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"milestones": (0.6, 0.3)}, r"must be rising shares .* Received: \[0.6, 0.3\]"),
        ({"milestones": (0.5, 0.5)}, "must be rising shares"),
        ({"milestones": (60, 120)}, r"at most 1\. Received: \[60, 120\]"),
        ({"milestones": (0.0,)}, "milestones must be a finite number above 0"),
        ({"gamma": 0}, "gamma must be a finite number above 0"),
        ({"iterations": 0}, "iterations must be"),
    ],
)
def test_bad_milestones_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MultiStep(**{"blocks": 2, "iterations": 10, "learning_rate": 0.1, **options})
