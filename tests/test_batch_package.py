import subprocess
import sys


def test_a_stranger_called_utils_is_named(tmp_path):
    (tmp_path / "utils.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "import batch"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"ImportError: ResBatch needs its own package 'utils', but Python found {tmp_path}" in (
        done.stderr
    )


def test_import_says_nothing():
    done = subprocess.run([sys.executable, "-c", "import batch"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
