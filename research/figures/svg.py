"""A figure as SVG within a page."""

import hashlib
import io
import re

from markupsafe import escape

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg(figure, text):
    """A figure as inline SVG, for those who see it and those who don't.

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
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    whole = buffer.getvalue()
    whole = re.sub(r"<metadata>.*?</metadata>", "", whole[whole.index("<svg") :], flags=re.DOTALL)
    start, _, content = whole.partition(">")
    box = re.search(r'viewBox="[^"]*"', start)[0]
    prefix = f"f{hashlib.sha256((text + content).encode()).hexdigest()[:8]}-"
    content = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", content)
    return (
        f'<svg role="img" aria-labelledby="{prefix}title {prefix}text" {XLINK} {box}>'
        f'<title id="{prefix}title">{escape(text.partition(chr(10))[0])}</title>'
        f'<desc id="{prefix}text">{escape(text)}</desc>{content}'
    )
