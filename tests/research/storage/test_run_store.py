from research.storage.run_store import RunStore
from utils import History

LABELS = ["annealed K=0, 0.5 of the iterations", "../up"]


def test_histories_come_back_as_they_were(tmp_path):
    store = RunStore(tmp_path / "checkpoints", LABELS)
    cache = {"asked": 3, "hits": 2, "seconds_saved": 0.1 + 0.2}
    target = {"accuracy": 0.5, "iterations": 1, "seconds": 1 / 3}
    history = History(LABELS[1], 4, [0.1 + 0.2, 1e-9], [1 / 3, 2.0], [0, 3], 2 / 3, cache)
    history.target, history.rates = target, [[0, [0.1, 0.1 + 0.2]]]
    assert store.history(LABELS[1], 4) is None
    assert store.iterations(LABELS[1], 4) == 0
    store.finish(LABELS[1], 4, history)
    again = RunStore(tmp_path / "checkpoints", LABELS)
    assert again.history(LABELS[1], 4) == history
    assert again.iterations(LABELS[1], 4) == 2
    assert again.history(LABELS[0], 4) is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_a_finished_run_has_no_checkpoints(tmp_path):
    store = RunStore(tmp_path / "checkpoints", LABELS)
    folder = store.checkpoints(LABELS[0], 0).folder
    for name in ("00000003", "00000012", "00000020.partial", "notes"):
        (folder / name).mkdir(parents=True)
    assert store.iterations(LABELS[0], 0) == 12
    store.finish(LABELS[0], 0, History(LABELS[0], 0, [1.0], [1.0], [0], 0.5))
    assert not folder.exists()
