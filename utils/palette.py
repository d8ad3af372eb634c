"""Colours, markers and dashes of methods: the same in every figure, page and notebook.

Deuteranopes and protanopes can tell the colours apart, and so can those who see them printed in
grey. Each colour has a twin for a dark background. Marks have a contrast of 3 or more to the
background that they are made for.
"""

import collections
import dataclasses

from batch.checks import received, sequence, text

COLOURS = (  # on white, on dark
    ("#1b222a", "#e1e6eb"),  # charcoal
    ("#024e36", "#40d2a8"),  # bottle green
    ("#cd1263", "#fe3053"),  # crimson
    ("#b379e2", "#7c73a4"),  # lilac
    ("#0150dc", "#0197fe"),  # blue
    ("#439605", "#d1df82"),  # green
    ("#644d02", "#846a01"),  # brown
    ("#551800", "#ff9304"),  # maroon
    ("#0a8394", "#46dafe"),  # teal
    ("#680266", "#cb8eb2"),  # purple
)
SHADE = COLOURS[4]  # of what is shown by how strong it is
BLOCKS = (  # of a network, from the first to the last: a scale, on white and on dark
    ("#00008a", "#fbe5f6"),
    ("#393345", "#ddc7f5"),
    ("#194b8d", "#c6a6ff"),
    ("#496770", "#6ca2c3"),
    ("#2d8a69", "#02928a"),
    ("#4ca715", "#3e781c"),
)
INK, GRID, PAPER = ("#202124", "#e6e8ea"), ("#d5d9de", "#3a4149"), ("#ffffff", "#14181d")
MARKERS = "osD^vPX*<>"
DASHES = (  # of lines: lengths of a dash and the gap after it, in widths of the line
    *((), (5, 1.5), (), (3, 1), (1, 1), (6, 1.5, 1, 1.5), (8, 2), (2, 1, 1, 1), (4, 1, 4, 3)),
    (1, 2),
)
FIXED = (  # the methods that have the first colours, in their order
    *("classic", "annealed", "freezeout", "stochastic", "shorter", "layerfreezing"),
    "autofreeze",
)
ALSO = {  # what they are called elsewhere
    **dict.fromkeys(("resnet", "classic resnet"), "classic"),
    **dict.fromkeys(("stochastic resnet", "stochastic depth"), "stochastic"),
}


@dataclasses.dataclass(frozen=True)
class Look:
    """How a method looks.

    Attributes
    ----------
    number : int
        Its place in `COLOURS`.
    round : int
        How many others have its colour: with it, markers are hollow, or others.
    """

    number: int
    round: int = 0

    @property
    def colour(self):
        """On white, as '#rrggbb'."""
        return COLOURS[self.number][0]

    @property
    def marker(self):
        """Matplotlib's name of the marker."""
        return MARKERS[(self.number + 3 * (self.round // 2)) % len(MARKERS)]

    @property
    def mark(self):
        """Matplotlib's arguments of markers."""
        face = "none" if self.round % 2 else self.colour
        return {"marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour}

    def line(self, points, marks=8):
        """Matplotlib's arguments of a line through so many points, some of them marked."""
        every = max(1, points // marks)
        dashes = DASHES[(self.number + self.round) % len(DASHES)]
        return {
            "color": self.colour,
            "linestyle": (0, dashes) if dashes else "-",
            "markevery": (every * self.number // len(COLOURS), every),
            "markersize": 5,
            **self.mark,
        }


def block_colours(count):
    """A colour of the scale, on white, for each of so many blocks."""
    last = len(BLOCKS) - 1
    return [BLOCKS[round(last * block / max(count - 1, 1))][0] for block in range(count)]


def looks_of(names):
    """How each of several methods looks.

    Our own methods always look the same, also where the name of a folder stands before theirs, as
    in 'one: classic'. Others get the colours that are left, in their order, first those that no
    method of ours has. Where there are more than colours, the next ones have hollow markers.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    dict from str to Look
    """
    names = [text("a name", name) for name in sequence("names", names, "texts")]
    if len(set(names)) < len(names):
        raise ValueError(f"names must differ. {received(names)}")
    fixed = {name: FIXED.index(_plain(name)) for name in names if _plain(name) in FIXED}
    order = [*range(len(FIXED), len(COLOURS)), *reversed(range(len(FIXED)))]
    looks, used = {}, collections.Counter()
    for name in (*fixed, *(name for name in names if name not in fixed)):
        number = fixed.get(name, min(order, key=lambda place: used[place]))
        looks[name] = Look(number, used[number])
        used[number] += 1
    return {name: looks[name] for name in names}


def _plain(name):
    """What a name is in `FIXED`, if it is there, without the name of a folder before it."""
    last = name.rpartition(": ")[2].casefold()
    return ALSO.get(last, last)
