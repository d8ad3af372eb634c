import pytest

from batch.data.history import COLUMNS, compiling_seconds, read_histories, write_histories
from utils import History


def history(method="classic", seed=0):
    history = History(method, seed)
    for value in (2.302585092994046, 0.1 + 0.2, 1e-17):
        history.append(value, value / 3, 1)
    return history


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


def timed(seconds, frozen):
    return History("freezeout", 0, [1.0] * len(seconds), seconds, frozen)


def test_compiling_is_what_the_first_iterations_of_stages_take_longer():
    seconds = [5.0, 1.0, 1.1, 0.9, 1.0, 2.5, 0.5, 0.6, 0.4]
    history = timed(seconds, [0, 0, 0, 0, 0, 2, 2, 2, 2])
    assert compiling_seconds(history) == pytest.approx(5.0 - 1.0 + 2.5 - 0.5)


def test_stages_too_short_to_tell_are_held_against_their_neighbours():
    seconds = [1.0] * 5 + [3.0] + [1.0] + [0.9] * 5
    history = timed(seconds, [0] * 5 + [1] * 2 + [2] * 5)
    assert compiling_seconds(history) == pytest.approx(2.0, abs=0.11)


def test_waiting_for_what_was_compiled_ahead_is_compiling():
    history = timed([1.0, 1.0, 1.1, 4.0, 0.9, 1.9, 1.0, 1.0], [0] * 8)
    assert compiling_seconds(history) == pytest.approx(3.0)


def test_runs_of_an_iteration_tell_nothing_of_compiling():
    assert compiling_seconds(timed([4.0], [0])) == 0
    assert compiling_seconds(timed([4.0, 1.0], [0, 0])) == 3


def with_rates(rates):
    made = History("freezeout", rates=[])
    for each in rates:
        made.append(1.0, 0.1, 0)
        made.append_rates(each)
    return made


def test_rates_are_kept_where_they_change():
    made = with_rates([[0.2, 0.2], [0.2, 0.2], [0.0, 0.2], [0.0, 0.2], [0.0, 0.1]])
    assert made.rates == [[0, [0.2, 0.2]], [2, [0.0, 0.2]], [4, [0.0, 0.1]]]


@pytest.mark.parametrize("iterations", [200, 201, 1000, 1637])
def test_rates_of_long_runs_are_kept_every_so_often(iterations):
    made = with_rates([[iteration, 1.0] for iteration in range(iterations)])
    every = made.rates[1][0]
    assert every == {200: 1, 201: 2, 1000: 8, 1637: 16}[iterations]
    assert made.rates == [[row, [row, 1.0]] for row in range(0, iterations, every)]


def test_a_change_between_rates_that_are_kept_is_kept_later():
    made = with_rates([[0.2]] * 151 + [[0.1]] * 500)
    assert made.rates == [[0, [0.2]], [152, [0.1]]]


def test_rates_that_are_not_known_from_the_start_are_not_known():
    made = History()
    made.append(1.0, 0.1, 0)
    made.append_rates([0.1])
    assert made.rates is None
