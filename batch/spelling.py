"""What an unknown name may have meant. No NumPy: the command line needs it at once."""

import difflib

LONGEST = 100  # characters of a name that may have meant another


def did_you_mean(names, known, cutoff=0.6):
    """The end of a message about unknown names: the known ones that they are nearly; or nothing.

    Parameters
    ----------
    names : str or list of str
        Anything else is like no name.
    known : iterable of str
    cutoff : float
        How like they must be: 1 is equal, apart from upper case.
    """
    known = {str(name).lower(): name for name in known}
    near = []
    listed = names if isinstance(names, (list, tuple)) else [names]
    for name in [name for name in listed[:10] if isinstance(name, str) and len(name) < LONGEST]:
        near += difflib.get_close_matches(name.lower(), known, 1, cutoff)
    meant = dict.fromkeys(repr(known[name]) for name in near)
    return f". Did you mean {' and '.join(meant)}?" if meant else ""
