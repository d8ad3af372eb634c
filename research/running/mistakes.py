"""What a network gets wrong: how often each class is taken for another, and the worst mistakes."""

import base64
import io

import numpy as np
from PIL import Image

WORST = 10
LARGEST = 96  # pixels a side, of an image as it is kept


def mistakes(model, split):
    """What a model gets wrong of a split.

    Parameters
    ----------
    model : TFModel
    split : batch.data.dataset.Split

    Returns
    -------
    dict
        In plain values: `confusion`, a row of counts for each class, by the class that the model
        says; `worst`, the wrong answers that the model is surest of, the surest first, each with
        its `row` in the split, the `label`, the class `said`, its `probability`, and the image as a
        `png`, in base64.
    """
    probabilities = model.predict(split.images, fetches="output_prob")
    classes, said = probabilities.shape[1], probabilities.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (split.labels, said), 1)
    sure = np.where(said == split.labels, -1.0, probabilities.max(axis=1))
    rows = np.argsort(-sure, kind="stable")[: min(WORST, int((sure >= 0).sum()))]
    worst = [
        {
            "row": int(row),
            "label": int(split.labels[row]),
            "said": int(said[row]),
            "probability": float(sure[row]),
            "png": _png(split.images[row]),
        }
        for row in rows
    ]
    return {"confusion": confusion.tolist(), "worst": worst}


def _png(pixels):
    """An image, reduced where it is large, as the text of a PNG."""
    channels = pixels.shape[-1]
    image = Image.fromarray(pixels[..., 0] if channels < 3 else pixels[..., :3])
    image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
