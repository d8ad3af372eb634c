import keras
import numpy as np
import pytest

from batch import ResNet
from batch.models import inference


def test_training_lowers_the_loss_and_raises_the_accuracy(make, examples):
    model = make(optimizer=("SGD", {"momentum": 0.9}))
    before = model.predict(*examples, fetches="loss")
    losses = [model.train(*examples) for _ in range(25)]
    assert losses[-1] < losses[0] / 2
    assert model.predict(*examples, fetches="loss") < before
    assert model.iteration == 25


def test_fetches_agree_with_each_other(make, examples):
    images, labels = examples
    model = make()
    names = ["predictions", "output_prob", "output_labels", "output_accuracy", "loss"]
    logits, probabilities, classes, accuracy, loss = model.predict(images, labels, fetches=names)
    assert logits.shape == probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classes, logits.argmax(1))
    assert accuracy == pytest.approx((classes == labels).mean())
    assert loss == pytest.approx(-np.log(probabilities[np.arange(60), labels]).mean(), rel=1e-5)
    np.testing.assert_array_equal(model.predict(images), logits)
    some = model.predict(images, rows=[5, 2])  # another batch, whose last bits may be others
    np.testing.assert_allclose(some, logits[[5, 2]], rtol=1e-5, atol=1e-6)


def test_prediction_in_chunks_is_whole(make, examples, monkeypatch):
    whole = make().predict(examples[0])
    monkeypatch.setattr("batch.models.inference.CHUNK", 16)
    # Batches of another size, whose last bits may be others.
    np.testing.assert_allclose(make().predict(examples[0]), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "chunk"),
    [((8, 8, 1), 500), ((64, 64, 3), 500), ((128, 128, 3), 125), ((9000, 9000, 3), 1), ((7,), 500)],
)
def test_chunks_of_large_images_are_small(shape, chunk):
    assert inference._chunk(shape) == chunk


def test_reset_starts_anew(make, examples):
    model = make(optimizer=("SGD", {"momentum": 0.9}))
    first = [model.train(*examples) for _ in range(3)]
    model.reset()
    assert model.iteration == 0
    assert [model.train(*examples) for _ in range(3)] == first


def test_the_users_layers_are_copied_with_their_weights(make, blocks, examples):
    layers = blocks()
    base = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    weights = [weight.copy() for weight in base.get_weights()]
    first, second = make(network=layers), make(network=layers)
    for mine, given in zip(first.network.get_weights(), weights):
        np.testing.assert_array_equal(mine, given)
    first.train(*examples)
    for model_weights in (base.get_weights(), second.network.get_weights()):
        assert all(np.array_equal(a, b) for a, b in zip(model_weights, weights))


def test_precision_bfloat16(examples):
    model = ResNet(
        {
            "inputs": {"images": {"shape": (8, 8, 1), "classes": 3}},
            "precision": "bfloat16",
            "learning_rate": 0.01,
        }
    )
    assert model.network.layers[1].compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.network.trainable_variables} == {"float32"}
    losses = [model.train(*examples) for _ in range(6)]
    assert losses[-1] < losses[0]
    assert keras.config.dtype_policy().name == "float32"
    assert model.predict(examples[0]).dtype == np.float32


def test_bad_calls_are_refused(make, examples):
    images, labels = examples
    model = make()
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\)"):
        model.train(np.zeros((60, 9, 9)), labels)
    with pytest.raises(ValueError, match="rows of the 60 images"):
        model.train(images, labels, rows=[60])
    with pytest.raises(ValueError, match="Received: none"):
        model.train(images, labels, rows=[])
    with pytest.raises(ValueError, match=r"number for each of the 60 images. .* shape \(2,\)"):
        model.train(images, labels, [0, 1])
    with pytest.raises(ValueError, match=r"Unknown fetches: accuracy\. Known: data_loss, loss"):
        model.train(images, labels, fetches="accuracy")
    with pytest.raises(ValueError, match="need labels: output_accuracy"):
        model.predict(images, fetches="output_accuracy")
    with pytest.raises(ValueError, match="output_acuracy"):
        model.predict(images, labels, fetches="output_acuracy")
    assert model.iteration == 0


def test_output_operations(make, examples):
    def top(logits):
        return logits.numpy().max(1)

    model = make(output={"ops": ["accuracy", top]})
    top_logits, accuracy = model.train(*examples, fetches=["output_top", "output_accuracy"])
    assert top_logits.shape == (60,)
    assert 0 <= accuracy <= 1
    assert np.array_equal(
        model.predict(examples[0], fetches="output_top"), model.predict(examples[0]).max(1)
    )


def test_training_fetches_are_of_the_step_before_its_update(make, examples):
    model, twin = make(), make()
    logits = np.asarray(twin.network(examples[0].astype(np.float32) / 255, training=True))
    loss, fetched = model.train(*examples, fetches=["loss", "predictions"])
    np.testing.assert_allclose(fetched, logits, rtol=1e-4, atol=1e-5)
    chosen = logits[np.arange(60), examples[1]]
    expected = (np.log(np.exp(logits).sum(1)) - chosen).mean()
    assert loss == pytest.approx(expected, rel=1e-4)
