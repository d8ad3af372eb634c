import json

import keras
import numpy as np
import pytest
from PIL import Image

from batch.data import mapped
from batch.data.mapped import mapping_of
from research.cli import main
from research.running.run import Run
from research.storage import results

CLOCK = {"seconds": None, "steps_seconds": None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of 40 images of 9×8 in two classes, and a file that is no image."""
    monkeypatch.setenv("RESBATCH_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "shades" / name).mkdir(parents=True)
        for number in range(20):
            pixels = draw.integers(0, 128, (8, 9, 3), np.uint8) + 127 * (name == "light")
            Image.fromarray(pixels.astype(np.uint8)).save(
                tmp_path / "shades" / name / f"{number}.png"
            )
    (tmp_path / "shades" / "dark" / "notes.txt").write_text("no image")
    return tmp_path / "shades"


def test_training_on_a_folder_of_images(folder, tmp_path, fails, capsys):
    train = ["train", "--data", str(folder), "--model", "wideresnet", "--depth", "10"]
    train += ["--widen-factor", "1", "--iterations", "3", "--batch-size", "10", "--image-size", "8"]
    line = fails(1, *train, "--out", str(tmp_path / "out"))
    assert "1 file can't be used: dark/notes.txt ends in none of .jpg, " in line
    assert main([*train, "--skip-broken", "--out", str(tmp_path / "out")]) == 0
    assert "shades: 34 + 6 images of 8×8×3" in capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "experiment.json").read_text())
    assert record["network"]["classes"] == ["dark", "light"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert ">Confusion matrix</title>" in page
    images = sorted(map(str, folder.glob("*/3.png")))
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "out"), *images]) == 0
    lines = capsys.readouterr().out.splitlines()
    shares = {"dark": [], "light": []}
    for path, line in zip(images, lines):
        assert line.startswith(f"{path}: ")
        for part in line.removeprefix(f"{path}: ").split(", "):
            name, share, _ = part.split()
            shares[name].append(float(share))
    assert [sum(pair) for pair in zip(*shares.values())] == pytest.approx([100, 100], abs=0.11)
    assert _said(tmp_path / "out", images) == pytest.approx(shares["light"], abs=0.06)
    broken = str(folder / "dark" / "notes.txt")
    line = fails(1, "predict", str(tmp_path / "out"), images[0], broken)
    assert line.endswith("notes.txt is no JPEG, PNG, BMP, GIF, WEBP")
    assert "tmp must be a folder of resbatch train" in fails(
        1, "predict", str(tmp_path / "tmp"), broken
    )
    assert record["classes"] == ["dark", "light"]
    assert record["settings"]["skip_broken"] is True
    assert record["settings"]["data"] == str(folder)


@pytest.mark.usefixtures("small_networks")
def test_a_folder_larger_than_memory_gives_the_same_bits(folder, tmp_path, monkeypatch):
    train = [
        "train",
        "--data",
        str(folder),
        "--skip-broken",
        "--method",
        "freezeout",
        "--normalize",
    ]
    train += [
        "--iterations",
        "6",
        "--batch-size",
        "10",
        "--train-images",
        "30",
        "--eval-every",
        "2",
    ]
    train += ["--checkpoint-every", "3", "--cache", "off", "--save-weights", "run", "--out"]
    seen, advance = [], Run.advance

    def noted(run, iterations):
        seen.append(mapping_of(run.data.train.images) is not None)
        advance(run, iterations)

    monkeypatch.setattr(Run, "advance", noted)
    assert main([*train, str(tmp_path / "in")]) == 0
    monkeypatch.setattr(mapped, "free_memory", lambda: 100)
    assert main([*train, str(tmp_path / "out")]) == 0
    assert seen == [False, True]
    runs = [results.read(tmp_path / name)[0] for name in ("in", "out")]
    assert (runs[0][0].loss, runs[0][0].accuracy) == (runs[1][0].loss, runs[1][0].accuracy)
    logs = [(tmp_path / name / "run.jsonl").read_text().splitlines() for name in ("in", "out")]
    assert len(logs[0]) >= 3
    for here, there in zip(*logs, strict=True):
        here, there = ({**json.loads(line), **CLOCK} for line in (here, there))
        assert here == there


def _said(run, images):
    """Percent that Keras' own network says of the class 'light', of images normalized by hand."""
    network = json.loads((run / "experiment.json").read_text())["network"]
    pixels = np.stack([np.asarray(Image.open(path).crop((0, 0, 8, 8))) for path in images]) / 255
    mean, std = (np.array(network["normalize"][key]) for key in ("mean", "std"))
    logits = keras.saving.load_model(run / network["weights"])(
        ((pixels - mean) / std).astype(np.float32)
    )
    return (100 * keras.ops.softmax(logits)[:, 1]).numpy().tolist()
