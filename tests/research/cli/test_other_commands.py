import numpy as np

from batch.data.blk import read_blk
from research.cli import main


def test_data_packs_what_the_notebook_reads(tmp_path, capsys):
    source = tmp_path / "a.npz"
    images, labels = np.zeros((14, 28, 28), np.uint8), np.arange(14) % 10
    np.savez(source, x_train=images, y_train=labels, x_test=images[:10], y_test=labels[:10])
    out = tmp_path / "MNIST_data"
    assert main(["data", "mnist", "--from", str(source), "--out", str(out)]) == 0
    assert capsys.readouterr().out.split() == [
        str(out / "mnist_pics.blk"),
        str(out / "mnist_labels.blk"),
    ]
    assert read_blk(out / "mnist_pics.blk").shape == (24, 28, 28)
    assert read_blk(out / "mnist_labels.blk").shape == (24, 10)
