import itertools

import pytest

from research.methods import METHODS
from utils.palette import BLOCKS, COLOURS, FIXED, GRID, INK, PAPER, SHADE, looks_of

MODES = {"light": 0, "dark": 1}
EYES = ("normal", "deutan", "protan")  # the last two by the matrices of Machado et al., 2009


@pytest.fixture(scope="module")
def color():
    return pytest.importorskip("coloraide").Color


def seen(color, colours, mode, eyes):
    made = [color(each[MODES[mode]]) for each in colours]
    return made if eyes == "normal" else [each.filter(eyes, method="machado") for each in made]


def least(colours, pairs):
    """The smallest difference (CIEDE2000) of pairs of colours, by their places."""
    return min(colours[one].delta_e(colours[other], method="2000") for one, other in pairs)


def lightness(color, colours, mode):
    return [each.convert("lab")["lightness"] for each in seen(color, colours, mode, "normal")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("eyes", EYES)
def test_colours_differ_for_all_eyes(color, eyes, mode):
    methods = seen(color, COLOURS, mode, eyes)
    assert least(methods, itertools.combinations(range(len(FIXED)), 2)) > 13
    assert least(methods, itertools.combinations(range(len(methods)), 2)) > 11
    assert least(methods, itertools.pairwise(range(len(methods)))) > 11
    blocks = seen(color, BLOCKS, mode, eyes)
    assert least(blocks, itertools.combinations(range(len(blocks)), 2)) > 10


def test_a_palette_that_only_some_can_tell_apart_is_seen(color):
    red_and_green = [("#d62728",) * 2, ("#2ca02c",) * 2]  # of matplotlib's own
    assert least(seen(color, red_and_green, "light", "normal"), [(0, 1)]) > 60
    assert least(seen(color, red_and_green, "light", "deutan"), [(0, 1)]) < 25
    assert (
        least(seen(color, [("#7f7f7f",) * 2, ("#bc5f98",) * 2], "light", "deutan"), [(0, 1)]) < 13
    )


def test_colours_differ_in_grey_print(color):
    steps = lightness(color, COLOURS, "light")
    assert min(abs(one - other) for one, other in itertools.pairwise(steps)) > 14
    assert min(abs(one - other) for one, other in itertools.combinations(steps, 2)) > 3.5
    for mode, direction in (("light", 1), ("dark", -1)):
        blocks = lightness(color, BLOCKS, mode)
        assert min(direction * (b - a) for a, b in itertools.pairwise(blocks)) > 9  # a scale


@pytest.mark.parametrize("mode", MODES)
def test_marks_and_letters_have_contrast(color, mode):
    paper = color(PAPER[MODES[mode]])
    marks = [color(each[MODES[mode]]) for each in (*COLOURS, *BLOCKS)]
    assert min(each.contrast(paper, method="wcag21") for each in marks) >= 3
    ink = color(INK[MODES[mode]])
    assert ink.contrast(paper, method="wcag21") > 7
    shade = color(SHADE[MODES[mode]]).mix(paper, 0.45, space="srgb")  # the darkest cell of a matrix
    assert ink.contrast(shade, method="wcag21") > 4.5


def test_every_colour_is_there_once():
    colours = [each for pair in (*COLOURS, *BLOCKS, INK, GRID, PAPER) for each in pair]
    assert len(set(colours)) == len(colours)


def test_our_methods_keep_their_looks():
    assert set(METHODS) == set(FIXED)
    together = looks_of([*METHODS])
    assert len({look.number for look in together.values()}) == len(METHODS)
    for name, look in together.items():
        assert looks_of(["mine", name])[name] == look
        assert looks_of([f"runs/one: {name}", "x"])[f"runs/one: {name}"] == look
    assert looks_of(["Classic ResNet", "FreezeOut"]) == {
        "Classic ResNet": together["classic"],
        "FreezeOut": together["freezeout"],
    }


def test_a_method_of_two_folders_has_one_colour_and_two_markers():
    one, two = looks_of(["one: freezeout", "two: freezeout"]).values()
    assert one.colour == two.colour
    assert one.mark["markerfacecolor"] == one.colour
    assert two.mark["markerfacecolor"] == "none"
    assert one.line(10)["linestyle"] != two.line(10)["linestyle"]


def test_others_get_what_is_left_in_their_order():
    looks = looks_of(["b", "classic", "a", "freezeout"])
    assert [look.number for look in looks.values()] == [7, 0, 8, 2]
    assert looks_of(["b", "a"])["a"] == looks["a"]
    many = looks_of([f"m{number}" for number in range(40)])
    assert len({(look.number, str(look.mark)) for look in many.values()}) == 40
    assert {look.number for look in looks_of([*METHODS, "x", "y", "z"]).values()} == {*range(10)}


def test_names_that_are_the_same_are_refused():
    with pytest.raises(ValueError, match="names must differ"):
        looks_of(["a", "a"])
