import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ("batch", "research", "utils", "resbatch.py", "pyproject.toml", "README.md", "LICENSE")


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *map(str, arguments)], check=True)


def test_a_wheel_runs_a_comparison_outside_the_checkout(tmp_path):
    tree, site = tmp_path / "tree", tmp_path / "site"
    tree.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, tree)
    (wheel,) = tmp_path.glob("resbatch-*.whl")
    pip("install", "--no-deps", "--no-index", "--target", site, wheel)
    options = ("--iterations", "2", "--batch-size", "20", "--seeds", "1", "--methods", "classic")
    done = subprocess.run(
        [sys.executable, "-m", "resbatch", "compare", *options, "--out", "results"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "report.html").stat().st_size > 10_000
    where = subprocess.run(
        [sys.executable, "-c", "import batch; print(batch.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(site))
    installed = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    files = [path for name in SOURCES[:3] for path in (ROOT / name).rglob("*")]
    needed = [path for path in files if path.suffix in (".py", ".pyi", ".typed", ".html")]
    assert {path.relative_to(ROOT).as_posix() for path in needed} <= installed
