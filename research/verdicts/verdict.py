"""The verdict on each method: better, no worse than the margin, worse, or can't tell."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.05  # of two-sided tests; of one-sided ones, half of it
POWER = 0.8
FEW = 5  # seeds below which an interval is worth little
BETTER, NO_WORSE, WORSE = "better", "no worse than the margin", "worse"
UNKNOWN = "can't tell"
AGREED = "all seeds agree"  # in place of an interval: equal differences give none


class Verdict(NamedTuple):
    """What is known of a method against its baseline.

    Attributes
    ----------
    verdict : str
        'better', 'no worse than the margin', 'worse', or "can't tell" and, in brackets, what to do.
    p_holm : float
        Of the test that it rests on, corrected; of "can't tell", that of 'no worse'. NaN without a
        test.
    seeds_needed : float
        Seeds, those that there are included, with which a method that differs from its baseline in
        nothing but chance is called no worse with a probability of 0.8. NaN without a test.
    """

    verdict: str
    p_holm: float = math.nan
    seeds_needed: float = math.nan


def judge(differences, margin):
    """The verdict on each method of a comparison.

    The mean difference is tested by paired t tests against 0 (two-sided) and against −margin
    (one-sided: non-inferiority). The p-values of each are corrected over the methods by Holm, so
    that the levels hold for all methods together. The first of these that holds is the verdict:

    1. better: the test against 0 rejects at 0.05, and the mean is above 0;
    2. no worse than the margin: the test against −margin rejects at 0.025;
    3. worse: the test against 0 rejects at 0.05, and the mean is below 0;
    4. can't tell.

    So what is surely below its baseline, but surely by less than the margin, is no worse.

    Parameters
    ----------
    differences : dict from str to array_like, shape (seeds,)
        In accuracy to the baseline, of each method that has one, paired over seeds, as shares of 1.
    margin : float
        In percentage points.

    Returns
    -------
    dict from str to Verdict
        Fewer than 2 seeds, or seeds that all agree, allow no test.
    """
    margin = margin / 100
    tested = {
        method: np.asarray(values, dtype=float)
        for method, values in differences.items()
        if len(values) > 1 and not agree(values)
    }
    differing = _holm([stats.ttest_1samp(values, 0).pvalue for values in tested.values()])
    no_worse = _holm(
        [
            stats.ttest_1samp(values, -margin, alternative="greater").pvalue
            for values in tested.values()
        ]
    )
    verdicts = {
        method: Verdict(f"{UNKNOWN} ({AGREED if len(values) > 1 else f'run at least {FEW} seeds'})")
        for method, values in differences.items()
    }
    for (method, values), *p_values in zip(tested.items(), differing, no_worse):
        needed = seeds_needed(values.std(ddof=1), margin, LEVEL / 2 / len(tested))
        verdicts[method] = Verdict(*_decide(values, *p_values, needed), needed)
    return verdicts


def agree(values):
    """Whether values are all the same, but for rounding."""
    return np.allclose(values, np.mean(values), rtol=1e-9, atol=1e-9)


def seeds_needed(deviation, margin, level=LEVEL / 2):
    """Seeds with which the test of 'no worse' has a power of 0.8, at a true difference of 0.

    Parameters
    ----------
    deviation : float
        Standard deviation of the paired differences.
    margin : float
        In the same unit.
    level : float
        Of the one-sided test. `judge` divides it by the number of methods, which is what Holm's
        correction asks of the first of them.

    Returns
    -------
    int
    """
    from statsmodels.stats.power import TTestPower  # slow to import

    test, effect = TTestPower(), margin / deviation
    if test.power(effect, 2, level, alternative="larger") >= POWER:
        return 2
    return math.ceil(test.solve_power(effect, alpha=level, power=POWER, alternative="larger"))


def _holm(p_values):
    from statsmodels.stats.multitest import multipletests  # slow to import

    return multipletests(p_values, method="holm")[1] if p_values else []


def _decide(values, differing, no_worse, needed):
    """The verdict and its p-value, from the corrected ones of both tests."""
    if differing < LEVEL and values.mean() > 0:
        return BETTER, differing
    if no_worse < LEVEL / 2:
        return NO_WORSE, no_worse
    if differing < LEVEL:
        return WORSE, differing
    seeds = len(values)
    enough = max(needed, FEW)
    more = enough - seeds if enough > seeds else seeds  # as many again: it lies near the margin
    return f"{UNKNOWN} (run {more:,} more seed{'s' * (more > 1)})", no_worse
