import pytest

from research.page.answer import answer_of
from research.verdicts.choice import choice
from research.verdicts.statistics import summarize
from utils import History

SPREAD = [0.0, 0.0004, -0.0003, 0.0002, -0.0002, 0.0001]


def summary_of(methods, seeds=5, margin=0.5):
    """A summary of methods, by their accuracies over that of classic, and their seconds."""
    made = [
        History(
            *(method, seed, [1.0], [seconds + SPREAD[seed - place]], [0]),
            accuracy=0.9 + over + SPREAD[seed - place],
        )
        for seed in range(seeds)
        for place, (method, (over, seconds)) in enumerate(methods.items())
    ]
    return summarize(made, dict.fromkeys(methods, 1.0), margin=margin)


CLASSIC = {"classic": (0, 4)}
BEST = {"annealed": (0.03, 4)}
CASES = {
    "Use annealed: annealed is better than classic by 3.01 points (p = ": CLASSIC | BEST,
    "Use freezeout: annealed is better than classic": CLASSIC
    | BEST
    | {"freezeout": (0.03, 2), "shorter": (0.03, 3)},
    "Use stochastic: stochastic is no worse than classic by more than 0.5 points": CLASSIC
    | {"stochastic": (-0.0005, 2)},
    "Use classic: no other method is better than classic, or no worse than it": CLASSIC
    | {"annealed": (-0.05, 2), "stochastic": (-0.0005, 5)},
    "Nothing is compared: no method was run beside its baseline. On": CLASSIC,
}


@pytest.mark.parametrize("said", CASES)
def test_the_choice_goes_from_baseline_to_baseline(said):
    assert choice(summary_of(CASES[said]), 0.5).startswith(said)


def test_every_step_is_a_reason():
    text = choice(summary_of(CLASSIC | BEST | {"freezeout": (0.0299, 2)}), 0.5)
    first, second = text.split("; ")
    assert first.startswith("Use freezeout: annealed is better than classic by 3.0")
    assert second.startswith("freezeout is no worse than annealed by more than 0.5 points (p = ")
    assert "), in 0.50 of its time. On average, annealed was the most accurate (93.0" in second
    assert text.endswith(" %), and freezeout the fastest (2.0 s a run).")


def test_what_is_not_known_is_not_chosen():
    summary = summary_of(CLASSIC | {"annealed": (0.0001, 2)}, margin=0.01)
    assert choice(summary, 0.01).startswith(
        "These runs can't tell which method to use: none is surely better than classic, or no worse"
    )
    (_, line) = answer_of(summary, {"margin": 0.01}).lines
    assert line.verdict.startswith("can't tell (run ")
    assert line.kind == "unknown"


def test_one_seed_chooses_nothing():
    text = choice(summary_of(CLASSIC | BEST, seeds=1))
    assert text.startswith("One seed can't tell which method to use: it says nothing about")


def test_a_single_run_is_said_to_be_one():
    text = choice(summary_of({"freezeout": (0, 3)}, seeds=1))
    assert text.startswith("A single run of freezeout: an accuracy of 90.00 %, after 3.0 s of")
    assert "does not tell whether another method would do better" in text


def test_the_answer_has_a_line_a_method_with_its_form():
    methods = CLASSIC | BEST | {"stochastic": (-0.06, 5), "freezeout": (0.03, 2)}
    methods["shorter"] = (0.025, 2)
    answer = answer_of(summary_of(methods), {"margin": 0.5})
    assert answer.heading == "Which method to use"
    assert [
        (line.subject, line.verdict.partition(" (")[0], line.kind) for line in answer.lines
    ] == [
        ("classic:", "a baseline", ""),
        ("annealed against classic:", "better", "better"),
        ("stochastic against classic:", "worse", "worse"),
        ("freezeout against annealed:", "no worse than the margin of 0.5 points", "no-worse"),
        ("shorter against annealed:", "worse", "worse"),
    ]
    assert answer.lines[0].basis == "90.00 ± 0.03 % accuracy, 4.0 s a run."
    assert "It took 0.50 of the time of annealed" in answer.lines[3].basis
    assert answer.lines[3].basis.endswith(" % accuracy, 2.0 s a run.")
