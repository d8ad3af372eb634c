import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "value"), [(None, "1"), ("0", "0")])
def test_onednn_is_switched_on_before_tensorflow_starts_unless_it_was_set(
    tmp_path, monkeypatch, given, value
):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if given:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    # In TensorFlow's place, for what the variable says at that moment.
    stand_in = "import os\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))\nraise SystemExit"
    (tmp_path / "tensorflow.py").write_text(stand_in)
    command = [sys.executable, "-c", "from batch import TFModel"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{value}\n")
