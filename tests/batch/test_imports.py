"""Imports inside `batch` go one way."""

import ast
import pathlib

import batch

ROOT = pathlib.Path(batch.__file__).parent
LAYERS = (  # each part imports from itself and from lines above it only
    ("machine", "shown", "spelling"),
    ("files", "nested", "runtime"),
    ("archives", "checks"),
    ("data", "networks", "schedules"),
    ("flops",),
    ("feature_cache",),
    ("training",),
    ("models",),
    ("res_batch", "keras_model"),
)
LEVELS = {part: level for level, parts in enumerate(LAYERS) for part in parts}


def imported(path):
    """The modules of this project that a file imports, wherever the import stands in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".") for name in names)


def test_every_part_imports_from_those_above_it_only():
    for path in ROOT.rglob("*.py"):
        part = path.relative_to(ROOT).with_suffix("").parts[0]
        for package, *inner in imported(path):
            assert package not in ("utils", "research", "tests"), path
            if package == "batch" and part != "__init__":
                known = LEVELS[inner[0]]
                assert inner[0] == part or known < LEVELS[part], f"{path} imports {inner[0]}"


def test_every_part_has_its_place():
    parts = {path.stem for path in ROOT.glob("*.py")} | {
        path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()
    }
    assert parts - {"__init__"} == set(LEVELS)
