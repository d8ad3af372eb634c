import contextlib
import importlib
import io
import pathlib
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SNIPPET = re.compile(r"^```python\n((?:(?!```).*\n)*)```\n\n?((?:    .*\n)*)", re.MULTILINE)
FILE = re.compile(r"# (\w+\.py)\n")  # the first line of a snippet that is a file
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
NEEDS = {"torch": "read_state_dict", "batchflow.research": "batchflow.research"}


def snippets(path):
    """The Python snippets of a text, and what it says that they print."""
    return [
        (code, re.sub(r"^    ", "", printed, flags=re.MULTILINE))
        for code, printed in SNIPPET.findall(path.read_text(encoding="utf-8"))
    ]


def importable(module):
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def check_printed(printed, said):
    """Words as they are; numbers about so, for their last digits depend on the processor."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", said)
    numbers, expected = (
        np.array([float(number.replace(",", "")) for number in NUMBER.findall(text)])
        for text in (printed, said)
    )
    assert numbers == pytest.approx(expected, rel=0.1, abs=0.03)


@pytest.fixture
def files(own_folder, monkeypatch, request):
    """A folder to run in, with the files that the texts name."""
    from batch.models.network_file import write_keras_file
    from batch.networks.resnet import small_resnet

    monkeypatch.syspath_prepend(own_folder)
    (own_folder / "runs" / "one").mkdir(parents=True)
    write_keras_file(own_folder / "runs" / "one" / "model.keras", small_resnet((28, 28, 1), 10))
    if importable("torch"):
        import torch

        weights = request.getfixturevalue("programs").WideResNet(16, 2, 10).state_dict()
        torch.save(weights, own_folder / "wrn16_2.pth")
    return own_folder


@pytest.mark.parametrize("readme", ["README.md", "batch/README.md", "research/README.md"])
def test_the_snippets_print_what_the_text_says(readme, files):
    names, ran = {"__name__": "snippets"}, 0
    for code, said in snippets(ROOT / readme):
        if file := FILE.match(code):
            (files / file[1]).write_text(code, encoding="utf-8")
            continue
        assert said, code
        if any(word in code and not importable(module) for module, word in NEEDS.items()):
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, readme, "exec"), names)
        check_printed(printed.getvalue(), said)
        ran += 1
    plt.close("all")
    assert ran
