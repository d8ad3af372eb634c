import pytest

from utils import History
from utils.history import COLUMNS, read_histories, write_histories


def history(method="classic", seed=0):
    one = History(method, seed)
    for value in (2.302585092994046, 0.1 + 0.2, 1e-17):
        one.append(value, value / 3, 1)
    return one


def test_csv_gives_every_bit_back(tmp_path):
    path = tmp_path / "results.csv"
    written = [history(), history("freezeout"), history(seed=1)]
    write_histories(written, path)
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert path.read_text().splitlines()[1].startswith("classic,0,0,2.302585092994046,")
    assert read_histories(path) == written


def test_files_without_the_columns_or_rows_are_refused(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("method,seed\nclassic,0\n")
    with pytest.raises(ValueError, match="Missing: iteration, loss"):
        read_histories(path)
    path.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(ValueError, match="has none"):
        read_histories(path)
