import logging
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from batch.data import decoded as kept
from batch.data.data import DataError, load_data
from batch.data.image_file import decoded
from batch.data.image_folder import load_image_folder

NAMES = ("apple", "pear")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder for what is decoded."""
    monkeypatch.setenv("RESBATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


def noise(width, height, mode="RGB", seed=0):
    bands = len(Image.new(mode, (1, 1)).getbands())
    shape = (height, width, bands) if bands > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8), mode)


@pytest.fixture
def folder(tmp_path):
    """14 images of 6×5 in each of two classes."""
    for number, name in enumerate(NAMES):
        (tmp_path / "fruit" / name).mkdir(parents=True)
        for count in range(14):
            path = tmp_path / "fruit" / name / f"{count:02}.png"
            noise(6, 5, seed=100 * number + count).save(path)
    return tmp_path / "fruit"


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_one_of_seven_of_each_class_is_for_testing(folder):
    data = load_data(folder)
    assert (data.name, data.names, data.classes) == ("fruit", NAMES, 2)
    assert data.train.images.shape == (24, 5, 6, 3)
    assert data.train.images.dtype == np.uint8
    assert np.bincount(data.train.labels).tolist() == [12, 12]
    assert np.bincount(data.test.labels).tolist() == [2, 2]
    assert (np.diff(data.train.labels) != 0).sum() > 3  # they are shuffled
    every = {
        pixels(path).tobytes(): label
        for label, name in enumerate(NAMES)
        for path in (folder / name).iterdir()
    }
    loaded = [
        (image.tobytes(), int(label))
        for split in (data.train, data.test)
        for image, label in zip(split.images, split.labels)
    ]
    assert dict(loaded) == every
    assert len(loaded) == 28


def test_train_and_test_may_be_folders_and_files_lie_deeper(folder, tmp_path):
    root = tmp_path / "split"
    for kind in ("train", "test"):
        (root / kind).mkdir(parents=True)
    for name in NAMES:
        (root / "test" / name).mkdir()
        (root / "train" / name / "deep").mkdir(parents=True)
        for path in (folder / name).iterdir():
            kind = root / "test" / name if path.stem < "03" else root / "train" / name / "deep"
            path.rename(kind / path.name)
    data = load_image_folder(root)
    assert np.bincount(data.train.labels).tolist() == [11, 11]
    assert data.test.labels.tolist() == [0] * 3 + [1] * 3
    np.testing.assert_array_equal(data.test.images[4], pixels(root / "test" / "pear" / "01.png"))


def test_it_is_decoded_once_and_anew_when_a_file_changes(folder, cache, monkeypatch):
    first, calls = load_image_folder(folder), []
    original = kept.decoded
    monkeypatch.setattr(
        kept,
        "decoded",
        lambda path, *rest, **more: (calls.append(path), original(path, *rest, **more))[1],
    )
    again = load_image_folder(folder)
    assert not calls
    np.testing.assert_array_equal(again.train.images, first.train.images)
    assert len(list(cache.iterdir())) == 1
    noise(6, 5, seed=7).save(folder / "apple" / "00.png")
    os.utime(folder / "apple" / "00.png", (1, 1))
    load_image_folder(folder)
    assert len(calls) == 28
    load_image_folder(folder, 4)
    assert len(list(cache.iterdir())) == 3
    assert sorted(path.name for path in folder.iterdir()) == list(NAMES)  # nothing beside them


@pytest.mark.parametrize(
    ("sizes", "side", "expected"),
    [
        ([(8, 6)], None, (6, 8)),
        ([(8, 6)], 4, (4, 4)),
        ([(8, 6), (20, 10), (12, 30)], None, (10, 10)),
    ],
)
def test_all_come_to_one_size(tmp_path, sizes, side, expected):
    for name in NAMES:
        (tmp_path / "fruit" / name).mkdir(parents=True)
        for number in range(9):
            noise(*sizes[number % len(sizes)]).save(tmp_path / "fruit" / name / f"{number}.bmp")
    assert load_image_folder(tmp_path / "fruit", side).train.images.shape[1:3] == expected


def test_an_image_is_resized_and_cropped_as_torchvision_does_it(tmp_path):
    image = noise(50, 31)
    image.save(tmp_path / "x.png")
    resized = np.asarray(image.resize((int(20 * 50 / 31), 20), Image.Resampling.BILINEAR))
    left = round((resized.shape[1] - 20) / 2)
    found = decoded(tmp_path / "x.png", (20, 20), colour=True)
    np.testing.assert_array_equal(found, resized[:, left : left + 20])


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "bmp", "gif", "webp", "PNG"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_kinds_of_files_and_colours(tmp_path, suffix, mode):
    for name in NAMES:
        (tmp_path / "fruit" / name).mkdir(parents=True)
        for number in range(4):
            image = noise(9, 9, "L" if mode in "L1" else "RGB", number).convert(mode)
            if suffix in ("jpg", "jpeg") and mode == "P":
                image = image.convert("RGB")
            image.save(tmp_path / "fruit" / name / f"{number}.{suffix}")
    data = load_image_folder(tmp_path / "fruit")
    grey = mode in "L1" and suffix not in ("gif", "webp")
    assert data.train.images.shape[1:3] == (9, 9)
    assert data.train.images.shape[3] in ((1,) if grey else (1, 3))
    if suffix == "png" and mode in ("L", "RGB"):
        shown = {np.asarray(noise(9, 9, mode, number)).tobytes() for number in range(4)}
        assert {image.tobytes() for image in data.train.images} <= shown


def test_a_picture_is_turned_as_exif_says_and_loses_its_transparency(tmp_path):
    image = noise(8, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right
    image.save(tmp_path / "x.png", exif=exif)
    found = decoded(tmp_path / "x.png", (8, 6), colour=True)
    np.testing.assert_array_equal(found, np.rot90(np.asarray(image), -1))
    clear = noise(8, 6, "RGBA")
    clear.save(tmp_path / "y.png")
    found = decoded(tmp_path / "y.png", (6, 8), colour=True)
    np.testing.assert_array_equal(found, np.asarray(clear)[..., :3])


def truncated(path):
    noise(64, 64).save(path)
    path.write_bytes(path.read_bytes()[:600])


def sixteen_bits(path):
    Image.fromarray(np.arange(36, dtype=np.uint16).reshape(6, 6)).save(path)


def bomb(path):
    """A PNG whose header says 40,000×40,000."""
    noise(4, 4).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (40000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


BROKEN = {
    "empty": ("a.png", lambda path: path.touch(), "a.png is empty"),
    "text": (
        "a.jpg",
        lambda path: path.write_text("hello"),
        "a.jpg is no JPEG, PNG, ",
    ),
    "ending": ("a.txt", lambda path: path.write_text("hello"), "a.txt ends in none of .jpg, "),
    "tiff": ("a.tif", lambda path: noise(4, 4).save(path), "a.tif ends in none of .jpg, "),
    "truncated JPEG": ("a.jpg", truncated, "a.jpg is broken: "),
    "truncated PNG": ("a.png", truncated, "a.png is broken: "),
    "truncated WebP": ("a.webp", truncated, "a.webp is "),
    "16 bits": ("a.png", sixteen_bits, "a.png has more than 8 bits a channel"),
    "CMYK": ("a.jpg", lambda path: noise(4, 4, "CMYK").save(path), "a.jpg has CMYK colours"),
    "bomb": ("a.png", bomb, "a.png has more than 89 million pixels"),
    "circle": (
        "a.png",
        lambda path: path.symlink_to(path),
        "a.png is a symbolic link that lead",
    ),
    "nowhere": (
        "a.png",
        lambda path: path.symlink_to("b"),
        "a.png is a symbolic link that ",
    ),
    "link to a folder": (
        "up",
        lambda path: path.symlink_to(".."),
        "up is a symbolic link to a ",
    ),
    "another script": ("картинка.png", lambda path: path.touch(), "картинка.png is empty"),
    "no text": (b"\xff.png", lambda path: path.touch(), r"\udcff.png is empty"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_named_or_left_out(folder, kind, caplog):
    name, make, message = BROKEN[kind]
    path = folder / "apple" / os.fsdecode(name)
    make(path)
    with pytest.raises(DataError) as caught:
        load_data(folder)
    said = f"{folder}: 1 file can't be used: apple/{message}"
    assert str(caught.value).startswith(said)
    assert "leave them out with --skip-broken, skip_broken=True in Python" in str(caught.value)
    assert str(caught.value).encode()
    with caplog.at_level(logging.WARNING):
        data = load_data(folder, skip_broken=True)
    assert len(data.train.labels) + len(data.test.labels) == 28
    assert f"{folder}: 1 file left out: apple/{message}" in caplog.text


def test_sixteen_bits_a_colour_are_refused_too(folder):
    """Pillow would read the upper eight bits alone."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(range(12)) for _ in range(2)))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    (folder / "pear" / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(DataError, match=r"pear/deep\.png has more than 8 bits a channel"):
        load_data(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder):
    (folder / "apple" / "00.png").chmod(0)
    with pytest.raises(DataError, match=r"apple/00\.png can't be read: Permission denied"):
        load_data(folder)


def test_an_error_names_five_files_at_most(folder):
    for number in range(8):
        (folder / "pear" / f"x{number}.png").touch()
    with pytest.raises(DataError, match=r"8 files can't be used: .*x4\.png is empty; and 3 more\."):
        load_data(folder)


def test_what_moves_and_what_is_misnamed_is_said(folder, caplog):
    frames = [noise(6, 5, seed=seed) for seed in range(3)]
    frames[0].save(folder / "apple" / "moving.gif", save_all=True, append_images=frames[1:])
    noise(6, 5).save(folder / "pear" / "wrong.jpg", format="PNG")
    with caplog.at_level(logging.WARNING):
        data = load_data(folder)
    assert len(data.train.labels) + len(data.test.labels) == 30
    assert "of 1 moving images, as apple/moving.gif, the first frame counts." in caplog.text
    assert "1 of another kind than named, as pear/wrong.jpg, which is a PNG." in caplog.text


def test_hidden_files_do_not_count(folder):
    (folder / ".git").mkdir()
    (folder / "apple" / ".DS_Store").touch()
    assert load_data(folder).names == NAMES


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["apple"], "two at least. Received: apple"),
        (["train", "test"], "two at least, in train and in test. Received: none"),
    ],
)
def test_two_classes_are_needed(tmp_path, names, message):
    for name in names:
        (tmp_path / "x" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "x")


def test_a_class_without_an_image_is_named(folder):
    (folder / "plum").mkdir()
    with pytest.raises(DataError, match=r"fruit: class plum has no image to train on"):
        load_data(folder)


def test_a_folder_without_anything(tmp_path):
    with pytest.raises(DataError, match=r"must hold one \*_pics.blk, or a folder of images "):
        load_data(tmp_path)


def test_a_cache_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RESBATCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"can't be kept in .*file/images, which RESBATCH_CACHE"):
        load_data(folder)
