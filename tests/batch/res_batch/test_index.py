"""Which rows of arrays an action takes, for every kind of index."""

import numpy as np
import pytest
from batchflow import Dataset, DatasetIndex, FilesIndex

from batch import ResBatch, TFModel

REST = r"Give arrays with a row for each number .* or give no arrays: an action then takes the comp"


@pytest.fixture
def taken(monkeypatch):
    """Rows and ids of the batches that models were to train on, none of which is trained."""
    calls = []

    def train(self, images, labels, indices=None, rows=None, loss_weights=None):
        calls.append((rows, indices, loss_weights))
        return 0.0

    monkeypatch.setattr(TFModel, "train", train)
    return calls


@pytest.fixture
def train(examples, config):
    """A function that gives a pipeline of a dataset an action with arrays."""

    def make(dataset, count=60):
        arrays = (array[:count] for array in examples)
        return dataset.pipeline(config=config).train_res([], *arrays)

    return make


@pytest.fixture
def files(tmp_path):
    for number in range(8):
        (tmp_path / f"{number:02d}.png").touch()
    return lambda **options: FilesIndex(path=str(tmp_path / "*.png"), sort=True, **options)


def of(index, **data):
    return Dataset(index, ResBatch, **data)


def halves(shuffle=False):
    whole = of(60)
    whole.split(0.5, shuffle=shuffle)
    return whole


POSITIONS = {
    "number": lambda: of(60),
    "range": lambda: of(DatasetIndex(range(60))),
    "unsigned": lambda: of(DatasetIndex(np.arange(60, dtype=np.uint16))),
    "upper half": lambda: of(DatasetIndex(np.arange(30, 60))),
    "backwards": lambda: of(DatasetIndex(np.arange(60)[::-1])),
    "drawn again and again": lambda: of(DatasetIndex(np.random.default_rng(0).integers(0, 60, 60))),
    "twice": lambda: of(DatasetIndex(30) + DatasetIndex(30)),
    "train": lambda: halves().train,
    "shuffled test": lambda: halves(shuffle=7).test,
    "subset": lambda: of(60).create_subset(np.array([50, 3, 40, 11, 12])),
    "fold": lambda: of(60, n_splits=3).cv1.train,
    "of a batch": lambda: of(60).create_batch([50, 3, 40, 11]).as_dataset(),
}


@pytest.mark.filterwarnings("ignore:Index contains non-unique")
@pytest.mark.parametrize("kind", POSITIONS)
def test_an_index_of_positions_picks_these_rows(kind, train, taken):
    dataset = POSITIONS[kind]()
    count = 61 if kind != "twice" else 30  # an index may hold all rows twice
    pipeline = train(dataset, count)
    for size in (4, 4):
        batch = pipeline.next_batch(size, n_epochs=None, shuffle=5)
        rows, ids, _ = taken.pop()
        assert ids is None
        assert rows.tolist() == batch.indices.tolist()
        assert set(rows) <= set(dataset.indices)


OTHERS = {
    "names": (lambda: of(DatasetIndex(["a", "b", "c", "d"])), r"DatasetIndex of <U1, \['a', 'b'"),
    "numbers in letters": (lambda: of(DatasetIndex(["0", "1", "2", "3"])), "DatasetIndex of <U1"),
    "objects": (lambda: of(DatasetIndex(np.array(["a", "b"], object))), "DatasetIndex of object"),
    "fractions": (lambda: of(DatasetIndex(np.arange(0, 3, 1.5))), "DatasetIndex of float64"),
    "whole floats": (lambda: of(DatasetIndex(np.arange(4.0))), "DatasetIndex of float64"),
    "truth values": (lambda: of(DatasetIndex([True, False])), "DatasetIndex of bool"),
    "negative": (lambda: of(DatasetIndex([-1, 0])), "DatasetIndex of -1 … 0"),
    "numbers from 1": (lambda: of(DatasetIndex(np.arange(1, 61))), "DatasetIndex of 1 … 60"),
    "large numbers": (lambda: of(DatasetIndex(np.array([3, 2**63], np.uint64))), f"… {2**63}"),
    "joined": (lambda: of(DatasetIndex(20) + DatasetIndex(40)), "from 0 several times"),
    "joined bytes": (
        lambda: of(DatasetIndex(np.tile(np.arange(30, dtype=np.uint8), 2))),
        "from 0 several times",
    ),
    "more than there are": (lambda: of(70), "DatasetIndex of 0 … 69"),
}


@pytest.mark.filterwarnings("ignore:Index contains non-unique")
@pytest.mark.parametrize("kind", OTHERS)
def test_an_index_of_something_else_is_refused_with_arrays(kind, train, taken):
    make, received = OTHERS[kind]
    pipeline = train(make())
    match = f"rows of the 60 images, 0 … 59. Received: a .*{received}.*{REST}"
    with pytest.raises(ValueError, match=match):
        pipeline.next_batch(2)
    assert not taken
    assert pipeline.models.get("resnet") is None


@pytest.mark.parametrize("no_ext", [False, True])
def test_an_index_of_files_is_refused_with_arrays(files, train, no_ext):
    pipeline = train(of(files(no_ext=no_ext)))
    with pytest.raises(ValueError, match=rf"a FilesIndex of <U\d+, \['00.*{REST}"):
        pipeline.next_batch(4)


def test_arrays_of_a_part_only_are_refused_at_once(train, taken):
    pipeline = train(halves().train, 30)
    with pytest.raises(ValueError, match="Received: a DatasetIndex of 30 … 59"):
        pipeline.next_batch(4)
    train(halves().test, 30).next_batch(4)  # the first half
    assert taken[0][0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("action", ["train_res", "train_freez", "train_stochastic", "test"])
def test_a_batch_made_of_others_is_refused_with_arrays(action, examples, residual, taken):
    given = ("resnet", []) if action == "test" else ([],)
    start = of(60, preloaded=examples).pipeline(config=residual)
    merged = getattr(start.rebatch(20), action)(*given, *examples)
    with pytest.raises(ValueError, match=f"no dataset, as after rebatch or merge.*{REST}"):
        next(merged.gen_batch(10, n_epochs=1))


def test_what_a_batch_made_of_others_holds_is_trained_on(examples, config, taken):
    start = of(60, preloaded=examples).pipeline(config=config)
    pipeline = start.add_loss_weights(np.arange(60.0)).rebatch(20) << config
    held = [
        batch.labels for batch in pipeline.train_res([]).gen_batch(10, n_epochs=1, shuffle=False)
    ]
    assert np.array_equal(np.concatenate(held), examples[1])
    assert [(rows, ids) for rows, ids, _ in taken] == [(None, None)] * 3  # 0 … 19 is no id
    assert np.array_equal(np.concatenate([weights for *_, weights in taken]), np.arange(60.0))
    with pytest.raises(ValueError, match=f"rows of the 60 loss_weights, .* no dataset.*{REST}"):
        next(start.rebatch(20).add_loss_weights(np.arange(60.0)).gen_batch(10, n_epochs=1))


@pytest.mark.parametrize(
    ("index", "kept"),
    [(np.array(["a", "b", "c"]), True), (np.array([9, 5, 7]), True), (np.arange(3.0), False)],
)
def test_components_go_by_any_index(index, kept, examples, config, taken):
    class Reading(ResBatch):
        @property
        def images(self):
            return examples[0][: len(self)]

        @property
        def labels(self):
            return examples[1][: len(self)]

    settings = {"resnet": {**config["resnet"], "classes": 3}}
    Dataset(DatasetIndex(index), Reading).pipeline(config=settings).train_res([]).next_batch(3)
    rows, ids, _ = taken[0]
    assert rows is None
    assert np.array_equal(ids, index) if kept else ids is None
