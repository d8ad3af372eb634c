"""What a comparison keeps on the disk of its runs while it goes on."""

import json
import pathlib
import shutil

from batch.data.checkpoint import Checkpoints
from batch.data.history import History
from batch.files import from_json, read_text, write_text


class RunStore:
    """Finished runs as their histories, others as checkpoints.

    Parameters
    ----------
    folder : path
        Made when there is something to keep.
    labels : sequence of str
        Of all runs; their order numbers the files.
    """

    def __init__(self, folder, labels):
        self.folder = pathlib.Path(folder)
        self._numbers = {label: number for number, label in enumerate(labels)}

    def checkpoints(self, label, seed):
        """The `Checkpoints` of a run, of which the newest is kept."""
        return Checkpoints(self._place(label, seed), keep=1)

    def history(self, label, seed):
        """The history of a finished run; None of any other."""
        path = self._file(label, seed)
        if not path.exists():
            return None
        return History(**from_json(read_text(path))).compact()

    def iterations(self, label, seed):
        """How many iterations of a run are kept."""
        history = self.history(label, seed)
        if history:
            return len(history)
        names = [path.name for path in self._place(label, seed).glob("*")]
        return max([int(name) for name in names if name.isdecimal()], default=0)

    def finish(self, label, seed, history):
        """Keep the history of a run that is finished, in place of its checkpoints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(history.as_dict())
        write_text(self._file(label, seed), text + "\n")
        shutil.rmtree(self._place(label, seed), ignore_errors=True)

    def packed(self, seed):
        """What there is of a seed, by label: a history, or what `Checkpoints.packed` gives."""
        return {
            label: self.history(label, seed) or self.checkpoints(label, seed).packed()
            for label in self._numbers
        }

    def unpack(self, seed, packed):
        """Write what `packed` gave."""
        for label, kept in packed.items():
            if isinstance(kept, History):
                RunStore.finish(self, label, seed, kept)
            elif kept:
                RunStore.checkpoints(self, label, seed).put(*kept)

    def _place(self, label, seed):
        return self.folder / f"{self._numbers[label]}-{seed}"

    def _file(self, label, seed):
        return self._place(label, seed).with_suffix(".json")
