"""The figure of a study."""

from research import studies
from research.figures.drawn import Drawn


def drawn(histories, record, summary):
    """What a study draws of its own table."""
    if "study" not in record:
        return None
    study = studies.load_study(record["settings"]["study"])
    table = study.table(histories, record["study"])
    return Drawn("study", study.TITLE, study.CAPTION, study.figure(table), table)
