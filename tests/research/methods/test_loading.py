import hashlib
import sys

import pytest

from research.methods import METHODS, loading
from research.methods.loading import MethodError, load

GOOD = """
from research import Method

def config(experiment, blocks):
    return {}

FIRST = Method("first", config, baseline="second")
SECOND = Method("second", config, baseline="annealed")
NUMBER = 3
"""


@pytest.fixture
def folder(own_folder):
    """The current folder, with a file of two methods."""
    (own_folder / "mine.py").write_text(GOOD)
    return own_folder


def test_ours_and_a_users_own_in_the_order_in_which_they_are_named(folder):
    methods = load(["freezeout", "mine.py:SECOND", "mine.py:FIRST", "classic"])
    assert [method.name for method in methods] == ["freezeout", "second", "first", "classic"]
    assert methods[0] is METHODS["freezeout"]
    assert [method.source for method in methods[1:3]] == ["mine.py:SECOND", "mine.py:FIRST"]
    assert loading.digest(methods[1]) == hashlib.sha256(GOOD.encode()).hexdigest()
    assert loading.digest(methods[0]) is None


def test_a_file_anywhere_finds_its_neighbours(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "neighbour_of_mine.py").write_text("NAME = 'deep'")
    (folder / "deep" / "mine.py").write_text(
        "from neighbour_of_mine import NAME\n" + GOOD.replace('"first"', "NAME")
    )
    assert load(["deep/mine.py:FIRST"])[0].name == "deep"
    assert load([f"{folder}/deep/mine.py:FIRST"])[0].source == f"{folder}/deep/mine.py:FIRST"


def test_a_module_of_a_package(folder):
    (folder / "package_of_mine").mkdir()
    (folder / "package_of_mine" / "module.py").write_text(GOOD)
    (method,) = load(["package_of_mine.module:FIRST"])
    assert method.source == "package_of_mine.module:FIRST"
    assert loading.digest(method) == hashlib.sha256(GOOD.encode()).hexdigest()


def test_a_file_called_utils_takes_no_name_of_ours(folder):
    (folder / "utils.py").write_text(GOOD)
    assert load(["utils.py:SECOND"])[0].name == "second"
    assert hasattr(sys.modules["utils"], "load_data")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (GOOD, "other.py:FIRST", "there is no file other.py"),
        (GOOD, "no_package.mine:FIRST", "there is no module no_package"),
        (GOOD, "mine.no_module:FIRST", "there is no module mine.no_module"),
        (GOOD, "mine.py:THIRD", "mine.py:THIRD must be a Method, and is not there; the methods in"),
        (GOOD, "mine.py:NUMBER", "is a int; the methods in mine.py are FIRST, SECOND"),
        (GOOD, "mine.py:", "mine.py must be followed by a colon and the name of a Method; the"),
        (GOOD, "mine.py", "name of a Method; the methods in mine.py are FIRST, SECOND"),
        (GOOD.replace("3", "1 / 0"), "mine.py:FIRST", "mine.py:9: ZeroDivisionError: division by"),
        (GOOD.replace("return", "return return"), "mine.py:FIRST", "mine.py:5: SyntaxError: inval"),
        ("import nowhere_at_all", "mine.py:FIRST", "mine.py:1: ModuleNotFoundError: No module nam"),
        ("import nowhere_at_all", "mine:FIRST", "mine.py:1: ModuleNotFoundError: No module named"),
        (GOOD.replace('"first"', '"two words"'), "mine.py:FIRST", "mine.py:7: ValueError: name mu"),
        (GOOD.replace('"first"', '"classic"'), "mine.py:FIRST", "mine.py:4: 'classic' is the name"),
        (
            GOOD.replace("annealed", "anealed"),
            "mine.py:SECOND",
            "no method: 'anealed'; the methods are annealed, autofreeze, classic, fir",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(folder, text, name, message):
    (folder / "mine.py").write_text(text)
    with pytest.raises(MethodError) as error:
        load(["classic", name])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
