import blosc
import numpy as np
import pytest

from batch.data.blk import write_blk
from batch.data.data import ARRAYS, UnknownDataError, is_local, pack
from utils import DataError, load_data


def arrays(rows=14, classes=2):
    images = np.arange(rows * 64, dtype=np.uint8).reshape(rows, 8, 8)
    labels = np.arange(rows) % classes
    return dict(zip(ARRAYS, (images, labels, images[:4], labels[:4])))


def npz(tmp_path, **changes):
    path = tmp_path / "some.npz"
    np.savez(path, **{**arrays(), **changes})
    return path


def test_digits_look_like_mnist():
    data = load_data()
    assert (data.name, data.classes) == ("digits", 10)
    assert data.train.images.shape == (1347, 28, 28, 1)
    assert data.test.images.shape == (450, 28, 28, 1)
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int64
    images = data.train.images[..., 0].astype(float)
    assert images.max() == 255
    assert images[:, 0].max() == images[:, :, 0].max() == 0  # a margin
    rows, columns = np.mgrid[:28, :28]
    mass = images.sum((1, 2))
    for axis in (rows, columns):
        assert np.abs((images * axis).sum((1, 2)) / mass - 13.5).max() < 1.5


def test_digits_that_someone_changed_are_loaded_as_they_were():
    changed, first = load_data("digits"), load_data("digits")
    changed.train.images[:], changed.test.labels[:] = 0, 0
    again = load_data("digits")
    assert np.array_equal(again.train.images, first.train.images)
    assert again.test.labels.any()


def test_the_split_of_digits_is_stratified_and_fixed():
    data = load_data("digits")
    counts = np.bincount(data.test.labels)
    assert counts.min() >= 43
    assert counts.max() <= 47
    assert data.test.labels[:8].tolist() == load_data("digits").test.labels[:8].tolist()


def test_npz_by_path(tmp_path):
    data = load_data(npz(tmp_path))
    assert (data.name, data.classes) == ("some", 2)
    assert data.train.images.shape == (14, 8, 8, 1)
    assert data.test.labels.tolist() == [0, 1, 0, 1]


def test_columns_of_labels_and_colours(tmp_path):
    colours = np.zeros((14, 8, 8, 3), np.uint8)
    labels = arrays()["y_train"][:, None]
    data = load_data(npz(tmp_path, x_train=colours, x_test=colours[:4], y_train=labels))
    assert data.train.images.shape == (14, 8, 8, 3)
    assert data.train.labels.shape == (14,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.zeros(3, int)}, "14 images, but 3 labels"),
        ({"x_train": np.zeros((14, 8), np.uint8)}, r"must be \(N, H, W\)"),
        ({"x_train": np.zeros((0, 8, 8), np.uint8)}, r"must be \(N, H, W\)"),
        ({"x_train": np.full((14, 8, 8), np.nan)}, "NaN"),
        ({"x_train": np.full((14, 8, 8), 0.5)}, "from 0 to 255"),
        ({"x_train": np.full((14, 8, 8), 256)}, "from 0 to 255"),
        ({"x_train": np.array([{}] * 14, dtype=object)}, "plain arrays"),
        ({"y_train": np.full(14, -1)}, "whole numbers"),
        ({"y_train": np.zeros(14, int), "y_test": np.zeros(4, int)}, "at least 2 classes"),
        ({"x_test": np.zeros((4, 9, 9), np.uint8)}, "test"),
    ],
)
def test_npz_with_bad_contents_is_refused(tmp_path, changes, message):
    path = npz(tmp_path, **changes)
    with pytest.raises(DataError, match=message) as caught:
        load_data(path)
    assert str(path) in str(caught.value)


def test_npz_that_lacks_a_key_or_is_cut_short_or_is_none(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=1, y_train=1)
    with pytest.raises(DataError, match="lacks x_test, y_test"):
        load_data(path)
    whole = npz(tmp_path).read_bytes()
    for contents in (whole[: len(whole) // 2], b"no archive", b""):
        path.write_bytes(contents)
        with pytest.raises(DataError, match=r"a\.npz"):
            load_data(path)
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"b\.npy is no \.npz"):
        load_data(tmp_path / "b.npy")
    with pytest.raises(DataError, match="no file"):
        load_data(tmp_path / "missing.npz")


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UnknownDataError, match="'minst': expected digits, mnist"):
        load_data("minst")


def test_pack_writes_what_the_notebook_reads(tmp_path):
    data = load_data("digits")
    pictures, targets = pack(data, tmp_path / "new")
    images = blosc.unpack_array(pictures.read_bytes()).reshape(-1, 28, 28)
    labels = blosc.unpack_array(targets.read_bytes())
    assert images.shape == (1797, 28, 28)
    assert images.dtype == np.uint8
    assert labels.shape == (1797, 10)
    np.testing.assert_array_equal(images[:1347], data.train.images[..., 0])
    np.testing.assert_array_equal(labels.argmax(1)[1347:], data.test.labels)


def test_a_folder_of_blk_files(tmp_path):
    pack(load_data("digits"), tmp_path)
    data = load_data(tmp_path)
    assert data.name == "digits"
    assert len(data.test.labels) == 1797 // 7
    assert len(data.train.labels) == 1797 - 1797 // 7


def test_flat_images_in_a_folder_get_their_shape(tmp_path):
    write_blk(tmp_path / "old_pics.blk", np.zeros((14, 784), np.float32))
    write_blk(tmp_path / "old_labels.blk", np.eye(2)[np.arange(14) % 2])
    assert load_data(tmp_path).train.images.shape == (12, 28, 28, 1)


def test_folders_without_both_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"one \*_pics\.blk"):
        load_data(tmp_path)
    (tmp_path / "a_pics.blk").write_bytes(b"junk")
    with pytest.raises(DataError, match="no plain numeric array"):
        load_data(tmp_path)
    write_blk(tmp_path / "a_pics.blk", np.zeros((14, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"no file .*a_labels\.blk"):
        load_data(tmp_path)
    write_blk(tmp_path / "a_labels.blk", np.arange(13) % 2)
    with pytest.raises(DataError, match="14 images, but there are 13 labels"):
        load_data(tmp_path)


def test_packing_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Can't write"):
        pack(load_data("digits"), tmp_path / "file")


def test_names_come_from_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RESBATCH_DATA", raising=False)
    assert is_local("digits")
    assert not is_local("fashion_mnist")
    npz(tmp_path).rename(tmp_path / "fashion_mnist.npz")
    monkeypatch.setenv("RESBATCH_DATA", str(tmp_path))
    assert is_local("fashion_mnist")
    assert load_data("fashion_mnist").name == "fashion_mnist"


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_names_come_from_keras_otherwise(name, monkeypatch):
    import keras

    given = arrays()
    monkeypatch.delenv("RESBATCH_DATA", raising=False)
    pairs = (given["x_train"], given["y_train"]), (given["x_test"], given["y_test"])
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: pairs)
    assert len(load_data(name).train.labels) == 14

    def fails():
        raise OSError("no network")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fails)
    with pytest.raises(DataError, match=f"{name} .* could not be downloaded"):
        load_data(name)


def test_real_mnist(real_data):
    data = load_data(real_data / "mnist.npz")
    assert data.train.images.shape == (60000, 28, 28, 1)
    assert data.test.images.shape == (10000, 28, 28, 1)
    assert np.bincount(data.test.labels).tolist()[:3] == [980, 1135, 1032]


@pytest.mark.parametrize("kind", ["nowhere", "file", "dangling"])
def test_a_variable_that_names_no_folder_is_refused(tmp_path, monkeypatch, kind):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nothing")
    monkeypatch.setenv("RESBATCH_DATA", str(tmp_path / kind))
    with pytest.raises(DataError, match="RESBATCH_DATA must name a folder"):
        load_data("mnist")
    assert load_data("digits").classes == 10


def test_the_variable_may_be_relative_or_begin_with_home(tmp_path, monkeypatch):
    images, labels = np.zeros((4, 2, 2), np.uint8), np.arange(4)
    splits = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "mnist.npz", **splits)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for named in (".", "~"):
        monkeypatch.setenv("RESBATCH_DATA", named)
        assert len(load_data("mnist").train.labels) == 4
