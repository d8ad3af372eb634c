"""What is decoded of a folder of images, and where it lies."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from batch.data import decoded as kept
from batch.data import mapped
from batch.data.data import DataError, load_data
from batch.data.mapped import mapping_of


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder for what is decoded."""
    monkeypatch.setenv("RESBATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def folder(tmp_path, cache):
    """14 images of 6×5 in each of two classes; two are no images, one by its pixels alone."""
    draw = np.random.default_rng(0)
    for name in ("apple", "pear"):
        (tmp_path / "fruit" / name).mkdir(parents=True)
        for number in range(14):
            path = tmp_path / "fruit" / name / f"{number:02}.png"
            Image.fromarray(draw.integers(0, 256, (5, 6, 3), np.uint8)).save(path)
    (tmp_path / "fruit" / "apple" / "03.png").write_text("no image")
    (tmp_path / "fruit" / "pear" / "05.png").unlink()
    cut = tmp_path / "fruit" / "pear" / "05.jpg"  # its header is whole
    Image.new("RGB", (6, 5)).save(cut)
    cut.write_bytes(cut.read_bytes()[:-3])
    return tmp_path / "fruit"


def test_what_memory_has_no_room_for_stays_in_its_file(folder, cache, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mapped, "free_memory", lambda: 100)
        patch.setattr(mapped, "PART", 300)  # bytes: three images
        data = load_data(folder, skip_broken=True)
    assert all(mapping_of(split.images) is not None for split in (data.train, data.test))
    again = load_data(folder, skip_broken=True)
    for split, other in ((data.train, again.train), (data.test, again.test)):
        assert mapping_of(other.images) is None
        np.testing.assert_array_equal(split.images, other.images)
        np.testing.assert_array_equal(split.labels, other.labels)
    assert len(list(next(cache.iterdir()).iterdir())) == 5  # no more than the splits


def test_rows_are_those_of_the_images_in_the_order_of_their_files(folder):
    paths = sorted(path for path in folder.rglob("*.png") if path.stat().st_size > 8)
    labels, test = np.array([path.parent.name == "pear" for path in paths]), np.zeros(26, bool)
    draw = np.random.RandomState(0)
    for label in (0, 1):
        test[draw.permutation(np.flatnonzero(labels == label))[:2]] = True
    rows = {"train": draw.permutation(np.flatnonzero(~test)), "test": np.flatnonzero(test)}
    data = load_data(folder, skip_broken=True)
    for kind, own in rows.items():
        expected = np.stack([np.asarray(Image.open(paths[row])) for row in own])
        np.testing.assert_array_equal(getattr(data, kind).images, expected)
        np.testing.assert_array_equal(getattr(data, kind).labels, labels[own])


def test_more_than_the_disk_has_room_for_is_refused(folder, cache, monkeypatch):
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: SimpleNamespace(free=4859))
    expected = (
        r"27 images of 5×6×3 take 0\.0 GB of .*/cache/images while they are decoded, and 0\.0"
    )
    with pytest.raises(DataError, match=expected):
        load_data(folder)
    assert not any(cache.iterdir())
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: SimpleNamespace(free=4860))
    assert load_data(folder, skip_broken=True).train.images.shape == (22, 5, 6, 3)


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def of_objects(path):
    np.save(path, np.array([{}], object), allow_pickle=True)


def one_row(path):
    np.save(path, np.load(path)[:1])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("index.json", damage) for damage in (empty, cut)),
        ("index.json", lambda path: path.write_text("[" * 100_000)),
        ("index.json", lambda path: path.write_text('{"broken": 3, "notes": []}')),
        *(("train_images.npy", damage) for damage in (empty, cut, of_objects, one_row)),
        *(("test_labels.npy", damage) for damage in (empty, cut, of_objects, one_row)),
        ("test_images.npy", lambda path: path.unlink()),
    ],
)
def test_what_is_damaged_is_decoded_again(folder, cache, name, damage):
    data = load_data(folder, skip_broken=True)
    damage(next(cache.iterdir()) / name)
    again = load_data(folder, skip_broken=True)
    for split, other in ((data.train, again.train), (data.test, again.test)):
        np.testing.assert_array_equal(split.images, other.images)
        np.testing.assert_array_equal(split.labels, other.labels)
