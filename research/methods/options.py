"""Options that methods share: each is said once here, and named by the methods that use it."""

import argparse
import dataclasses

from research.arguments import cache, count, positive, probability, rising_shares, share

HOW_SCALE = ("linear", "squared", "cubic")
_SAME = object()


@dataclasses.dataclass(frozen=True)
class Option:
    """A setting that some methods read: an attribute of `Experiment` by the same name.

    Attributes
    ----------
    default : object
        For our small network, as in the notebook; None leaves it to the method.
    help : str
        For the command line; '{default}' stands for the default.
    flag : dict, optional
        What argparse needs to know of it; None where the command line has no such option.
    published : object
        Default for the networks that come with a paper's recipe, where it is another one.
    """

    default: object
    help: str = ""
    flag: dict | None = None
    published: object = _SAME

    def default_for(self, published):
        """The default of a paper's recipe, or of our own network."""
        return self.published if published and self.published is not _SAME else self.default

    def help_text(self):
        """The help with the defaults filled in, the papers' in brackets."""
        ours, theirs = (_shown(self.default_for(published)) for published in (False, True))
        return self.help.format(default=ours if ours == theirs else f"{ours} ({theirs})")


def _shown(value):
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


STEPS = {  # of a rate that is constant otherwise
    "milestones": Option(
        (),
        "comma-separated shares of the run at which the rate is multiplied by --gamma "
        "(default: none)",
        {"type": rising_shares, "metavar": "LIST"},
    ),
    "gamma": Option(
        0.2,
        "what the rate is multiplied by at --milestones (default: {default})",
        {"type": positive, "metavar": "G"},
    ),
}
END = {  # of a schedule
    "freeze_iterations": Option(
        None,
        "last iteration of the schedule (default: the run's last)",
        {"type": count, "metavar": "N"},
    ),
    "finetune_rate": Option(1e-2, published=None),  # of all blocks after the schedule's end
}
SPACING = {  # of the blocks' last iterations
    "t_0": Option(
        0.6,
        "when the first block stops, as a share of the schedule, before --how-scale "
        "(default: {default})",
        {"type": share, "metavar": "T0"},
        published=0.8,
    ),
    "how_scale": Option(
        "linear",
        "spacing of the blocks' last iterations (default: {default})",
        {"choices": HOW_SCALE},
        published="cubic",
    ),
    "scale_lr": Option(
        False,
        "start each block at the learning rate divided by its share (default: {default})",
        {"action": argparse.BooleanOptionalAction},
        published=True,
    ),
    "count_classifier": Option(
        False,
        "space the blocks as the paper's program does, with the classifier as the last layer "
        "(default: {default})",
        {"action": argparse.BooleanOptionalAction},
    ),
}
SURVIVAL = {
    "survival": Option(
        0.6,
        "probability that the last block's branch survives; it falls to that linearly, from 1 "
        "before the first block: with 0.6, four blocks have 0.9, 0.8, 0.7 and 0.6 "
        "(default: {default})",
        {"type": probability, "metavar": "P"},
    )
}
DECISIONS = {
    "freeze_every": Option(
        None,
        "iterations from one decision to freeze to the next (default: a tenth of the schedule)",
        {"type": count, "metavar": "N"},
    )
}
CACHE = {
    "cache": Option(
        "auto",
        "where to keep what frozen blocks compute for each image: where it pays and there is room, "
        "in up to half of the free memory or a temporary file (auto), or so many bytes of memory; "
        "or in memory, in a file (mapped), compressed, or nowhere (off) (default: {default})",
        {"type": cache, "metavar": "PLACE"},
    )
}
SHARED = {**STEPS, **END, **SPACING, **SURVIVAL, **DECISIONS, **CACHE}
