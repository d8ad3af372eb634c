"""What lies in a folder that a command of ours wrote, or was about to."""

from batch.files import from_json, read_text

CHECKPOINTS, CHECKPOINT = "checkpoints", "checkpoint.json"  # their folder, and what ends each
RECORD = "experiment.json"  # in a finished one
FIGURES = "figures"  # their folder, for a paper
# What commands write.
WRITTEN = (".jsonl", ".csv", ".json", ".keras", ".png", ".html", ".ipynb", ".md")


def is_ours(path):
    """Whether a command may have written it."""
    if path.is_symlink():
        return False
    return path.name in (CHECKPOINTS, FIGURES) if path.is_dir() else path.suffix in WRITTEN


def worth_keeping(folder):
    """Whether there are whole checkpoints, finished runs, metrics, or the results themselves."""
    metrics = any(path.stat().st_size for path in folder.glob("*.jsonl"))
    whole = any((folder / name).exists() for name in ("bench.csv", RECORD))
    finished = any(folder.glob(f"{CHECKPOINTS}/[0-9]*.json"))
    saved = any(folder.glob(f"{CHECKPOINTS}/**/*[0-9]/{CHECKPOINT}"))
    return metrics or whole or finished or saved


def entries(folder):
    """Paths in a folder, or of what is there in its place."""
    if folder.is_dir():
        return list(folder.iterdir())
    return [folder] if folder.exists() else []


def read_json(path):
    """What a file of ours says; nothing if it is not there, or not whole."""
    try:
        read = from_json(read_text(path))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
