"""A few faults of those that `make soak` lets commands meet, at moments that a seed decides."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("bits_in_any_place")  # the caches need that to keep all


@pytest.fixture(scope="module")
def freezeout(harness, tmp_path_factory):
    return harness[0].Faults(tmp_path_factory.mktemp("faults"), ("freezeout",), seed=2, again=0)


@pytest.mark.parametrize("what", ["SIGKILL", "full", "small"])
def test_a_run_goes_on_to_the_same_bits(harness, freezeout, what):
    if what == "small" and not harness[1].may_mount(freezeout.folder):
        pytest.skip("to mount a small disk takes root")
    freezeout.meet((what,))
    assert freezeout.failures == []


def test_a_comparison_goes_on_to_the_same_bits(harness, tmp_path):
    crops = harness[0].Faults(tmp_path, ("compare crops",), seed=1, again=0)
    crops.meet(("SIGTERM",))
    assert crops.failures == []
    assert crops.ended["kills"] >= 1


@pytest.mark.parametrize("loss", ["0.5", "0.50000000000000011"])
def test_a_difference_in_the_last_bit_is_seen(harness, tmp_path, loss):
    for name, text, seconds in (("whole", "0.5", 1), ("out", loss, 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").write_text(f"loss,seconds\n{text},{seconds}\n")
        line = {"iteration": 1, "loss": float(text), "steps_seconds": seconds}
        (tmp_path / name / "log.jsonl").write_text(json.dumps(line) + "\n")
        with zipfile.ZipFile(tmp_path / name / "model.keras", "w") as archive:
            weights = io.BytesIO()
            with h5py.File(weights, "w") as file:
                file["layers/0"] = np.full(3, float(text))
            archive.writestr("model.weights.h5", weights.getvalue())
            archive.writestr("config.json", "{}")
    differences = harness[0].differences
    different = differences(tmp_path / "out", tmp_path / "whole")
    assert different == ([] if loss == "0.5" else ["log.jsonl", "model.keras", "results.csv"])
    (tmp_path / "out" / "more.md").touch()
    assert "more.md" in differences(tmp_path / "out", tmp_path / "whole")
