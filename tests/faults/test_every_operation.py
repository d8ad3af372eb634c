"""What a kill leaves at every operation on a file of a save, and when a folder is written."""

import contextlib
import json

import numpy as np
import pytest

from batch import TFModel
from batch.data.checkpoint import Checkpoints
from research.storage.folders import BEGUN, CHECKPOINTS, ResultsError, new_folder
from utils import History

ASKED = {"seeds": [0, 1], "threads": "2"}


def trained(network, images, labels):
    inputs = {"images": {"shape": (8, 8, 1)}, "labels": {"classes": 3}}
    model = TFModel({"inputs": inputs, "network": network})
    model.train(images, labels)
    return model


@pytest.mark.parametrize("keep", [1, 2])
def test_at_every_operation_of_a_save_there_is_a_whole_checkpoint(
    copies, blocks, examples, tmp_path, keep
):
    model = trained(blocks(), *examples)
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep)

    def save():
        length = model.iteration
        checkpoints.save(model, History("classic", 0, *np.ones((3, length)).tolist()), {"seed": 0})

    save()
    model.train(*examples)
    newest = [Checkpoints(copy).newest() for copy in copies(checkpoints.folder, save)]
    assert len(newest) > 20
    assert [each.iteration for each in newest] == sorted(each.iteration for each in newest)
    assert {each.iteration for each in newest} == {1, 2}
    again = copies(checkpoints.folder, save)  # in the place of the same iteration's
    assert {Checkpoints(copy).newest().iteration for copy in again} == {2}
    names = [path.name for path in checkpoints.folder.iterdir()]
    assert sorted(names) == ["00000001", "00000002"][-keep:]


def write(out, text, *, to_the_end=True, **how):
    """Carry out a command that saves a checkpoint and then its results; nothing if finished."""
    with new_folder(out, "train", **how) as place:
        place.needless = (CHECKPOINTS,)
        place.begin({**ASKED, "text": text})
        if place.finished:
            return
        saved = place.path / CHECKPOINTS / "00000001" / "checkpoint.json"
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.write_text(text)
        record = {"settings": {"seeds": [0, 1], "text": text}, "environment": {"threads": "2"}}
        if to_the_end:
            (place.path / "results.csv").write_text(text)
            (place.path / "experiment.json").write_text(json.dumps(record))
        else:
            raise ValueError("fails")


def goes_on(out):
    """Whether the command can be gone on with; if not, it is carried out anew."""
    try:
        write(out, "new", resume=True)
    except ResultsError as error:
        if "is of other settings" not in str(error):
            raise
        write(out, "new", overwrite=True)
        return False
    return True


@pytest.mark.parametrize("earlier", ["", "finished", "interrupted", "both"])
def test_at_every_operation_a_folder_can_be_gone_on_with(copies, tmp_path, earlier):
    folder = tmp_path / "folder"
    folder.mkdir()
    if earlier in ("finished", "both"):
        write(folder / "out", "old")
    if earlier in ("interrupted", "both"):
        with pytest.raises(ValueError, match="fails"):
            write(folder / "out", "old", to_the_end=False, overwrite=True)
    made = copies(folder, lambda: write(folder / "out", "new", overwrite=bool(earlier)))
    assert len(made) > 20
    begun = [goes_on(copy / "out") for copy in made]
    assert begun == sorted(begun)  # before, what is there is of the earlier command, still
    for copy in made:
        assert [path.name for path in copy.iterdir()] == ["out"]
        names = sorted(path.name for path in (copy / "out").iterdir())
        assert names == ["experiment.json", "results.csv"]
        assert (copy / "out" / "results.csv").read_text() == "new"
        assert BEGUN not in names


def saved(folder):
    """Texts of the checkpoints and results in a folder, whatever their names."""
    names = ("results.csv", "checkpoint.json")
    return {path.read_text() for path in folder.rglob("*") if path.name in names}


@pytest.mark.parametrize("to_the_end", [True, False])
def test_what_is_replaced_stays_until_there_is_something_new(copies, tmp_path, to_the_end):
    out = tmp_path / "folder" / "out"
    out.parent.mkdir()
    with contextlib.suppress(ValueError):
        write(out, "old", to_the_end=to_the_end)
    made = copies(out.parent, lambda: write(out, "new", overwrite=True))
    assert all(saved(copy) - {""} for copy in made)
