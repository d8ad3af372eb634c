"""A figure as SVG within a page, in colours that follow light and dark."""

import hashlib
import re

from markupsafe import escape

from research.figures.files import rendered
from utils.palette import BLOCKS, COLOURS, GRID, INK, PAPER

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
VARIABLES = {  # of CSS, by name: the colour in the light and in the dark
    "--ink": INK,
    "--grid": GRID,
    "--paper": PAPER,
    **{f"--method-{number}": colours for number, colours in enumerate(COLOURS)},
    **{f"--block-{number}": colours for number, colours in enumerate(BLOCKS)},
}
LIGHT = {light: name for name, (light, _) in VARIABLES.items()} | {"#000000": "--ink"}


def css():
    """The rules that give the colours of figures their values: once for a page.

    Other rules may use them, too: `--paper` is the background that figures are made for, `--ink` is
    for letters. On paper they are as in the light.
    """
    light, dark = (
        " ".join(f"{name}: {colours[place]};" for name, colours in VARIABLES.items())
        for place in (0, 1)
    )
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    )


def svg(figure, text):
    """A figure as inline SVG, for those who see it and those who don't.

    Its letters are paths, so that it looks the same everywhere.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    text : str
        What it shows. Its first line is the title; all of it is the description.

    Returns
    -------
    str
        An element whose ids are no others' on a page.
    """
    whole = rendered(figure, "svg", transparent=True).decode()
    whole = re.sub(r"<metadata>.*?</metadata>", "", whole, flags=re.DOTALL)
    start, _, content = whole.partition("<svg")[2].partition(">")
    box = re.search(r'viewBox="[^"]*"', start)[0]
    prefix = f"f{hashlib.sha256((text + content).encode()).hexdigest()[:8]}-"
    content = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", content)
    return (
        f'<svg role="img" aria-labelledby="{prefix}title {prefix}text" {XLINK} {box}>'
        f'<title id="{prefix}title">{escape(text.partition(chr(10))[0])}</title>'
        f'<desc id="{prefix}text">{escape(text)}</desc>{_coloured(_shorter(content))}'
    )


def _shorter(content):
    """Without digits that nobody could see, and spaces between elements."""
    content = re.sub(r'(?<= d=")[^"]*', lambda path: _rounded(path[0]), content)
    content = re.sub(r'(?<= [xy]=")[^"]*', lambda place: _rounded(place[0]), content)
    return re.sub(r">\s+<", "><", content)


def _rounded(numbers):
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", numbers)


def _coloured(content):
    """With variables of CSS in place of colours, in styles."""
    return re.sub(
        r"(?<=: )#[0-9a-f]{6}\b",
        lambda colour: f"var({LIGHT[colour[0]]}, {colour[0]})" if colour[0] in LIGHT else colour[0],
        content,
    )
