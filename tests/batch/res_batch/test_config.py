import numpy as np
import PIL.Image
import pytest
from batchflow import B, C, Config, Dataset, V

from batch import FreezeOut, ResBatch, ResNet
from batch.res_batch import DEFAULTS, with_freezing


def test_models_of_one_seed_start_equal_and_of_two_do_not(dataset, examples, steps):
    first = []
    for seed in (3, 3, 4):
        losses = []
        steps(dataset.pipeline(config={"resnet": {"seed": seed}}).train_res(losses, *examples), 1)
        first += losses
    assert first[0] == first[1] != first[2]


def test_defaults_are_the_tables(dataset, examples, steps):
    pipeline = dataset.p.train_res([], *examples).train_freez([], *examples)
    steps(pipeline, 1)
    resnet, freeznet = pipeline.m("resnet"), pipeline.m("freeznet")
    assert isinstance(resnet, ResNet)
    assert [layer.name for layer in resnet.network.layers][:2] == ["stem", "block0"]
    assert (resnet.optimizer.momentum, resnet.optimizer.nesterov) == (0.8, True)
    assert (freeznet.optimizer.momentum, freeznet.optimizer.nesterov) == (0.9, True)
    assert (resnet.optimizer.rate_outside, freeznet.optimizer.rate_outside) == (False, True)
    assert resnet.trainer.schedule(10**6).tolist() == [0.03] * 5
    expected = FreezeOut(5, 300, 0.06, t_0=0.6, degree=1, scaled=False, finetune_rate=1e-2)
    assert freeznet.trainer.schedule.get_config() == expected.get_config()


def test_defaults_of_stochastic_depth_are_the_tables(dataset, examples, steps):
    pipeline = dataset.p.train_stochastic([], *examples)
    steps(pipeline, 1)
    model = pipeline.m("stochastic")
    assert (model.optimizer.momentum, model.optimizer.nesterov) == (0.8, True)
    assert model.trainer.schedule(10**6).tolist() == [0.03] * 5
    blocks = model.network.layers[1:-1]
    assert [block.survival for block in blocks] == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert {(block.mode, block.scale) for block in blocks} == {("batch", "inference")}


def test_freezing_and_dropping_combine_in_the_config(dataset, residual, examples, steps):
    settings = {"freeznet": {**residual["freeznet"], "survival": 0.5, "iteration": 4, "t_0": 0.5}}
    losses = []
    pipeline = dataset.pipeline(config=settings).train_freez(losses, *examples)
    steps(pipeline)
    assert pipeline.m("freeznet").frozen == 1
    counted = [int(block.steps) for block in pipeline.m("freeznet").network.layers[1:-1]]
    assert counted == [3, 3]


def test_another_model_by_name(dataset, examples, steps):
    pipeline = dataset.pipeline(config={"resnet": {"model": "resnet18", "use_bias": True}})
    pipeline = pipeline.train_res([], *examples)
    steps(pipeline, 1)
    assert len(pipeline.m("resnet").network.layers) == 10


def test_scaled_keeps_the_notebooks_meaning():
    settings = {**DEFAULTS["freeznet"], "learning_rate": 10, "scaled": True, "degree": 3}
    _, arguments = with_freezing(settings)["schedule"]
    schedule = FreezeOut(5, **arguments)
    np.testing.assert_allclose(schedule(0), 10 / schedule.last_iterations, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("resnet", {"momentum": 0.9}, "Unknown key in the config of 'resnet': momentum"),
        ("resnet", {"iteration": 300}, "Unknown key in the config of 'resnet': iteration"),
        ("resnet", {"model": "resnet20"}, "model must be one of resnet, resnet18"),
        ("resnet", {"mode": "batch"}, "without 'survival'"),
        ("stochastic", {"survival": -0.1}, "survival must be a number from 0 to 1"),
        ("stochastic", {"degree": 1}, "Unknown key in the config of 'stochastic': degree"),
        ("freeznet", {"iterations": 300}, "Unknown key .*: iterations. Known keys: .*iteration,"),
        ("freeznet", {"iteration": 0}, "iteration must be a whole number above 0. Received: 0"),
        ("freeznet", {"iteration": -5}, "Received: -5"),
        ("freeznet", {"degree": 4}, "degree must be 1, 2 or 3. Received: 4"),
        ("freeznet", {"learning_rate": 0}, "learning_rate must be"),
        ("freeznet", {"degree": 2, "schedule": ("Constant", {"learning_rate": 1})}, "not both"),
    ],
)
def test_bad_configs_are_refused(dataset, examples, kind, settings, message, steps):
    pipeline = dataset.pipeline(config={kind: settings})
    actions = {"resnet": "train_res", "freeznet": "train_freez", "stochastic": "train_stochastic"}
    action = getattr(pipeline, actions[kind])
    with pytest.raises(ValueError, match=message):
        steps(action([], *examples), 1)


def test_one_batch_of_labels_does_not_tell_the_classes(examples, steps):
    from batchflow import action

    class Loading(ResBatch):
        @action
        def read(self):
            self.images, self.labels = (array[self.indices] for array in examples)
            return self

    dataset = Dataset(60, Loading)
    with pytest.raises(ValueError, match="give 'classes' in"):
        steps(dataset.p.read().train_res([]), 1)
    losses = []
    steps(dataset.pipeline(config={"resnet": {"classes": 3}}).read().train_res(losses), 1)
    assert len(losses) == 1


def test_config_may_be_batchflows_and_is_not_changed(dataset, config, examples, steps):
    settings = Config({"resnet": {"learning_rate": 0.01, "network": config["resnet"]["network"]}})
    pipeline = dataset.pipeline(config=settings).train_res([], *examples)
    steps(pipeline, 1)
    assert pipeline.m("resnet").trainer.schedule(0)[0] == 0.01
    assert sorted(settings.get("resnet")) == ["learning_rate", "network"]


def test_named_expressions_and_batchflows_words_in_the_pipelines_config(config, examples, steps):
    pictures = np.empty(60, object)  # as BatchFlow's own datasets have them
    pictures[:] = [PIL.Image.fromarray(image[..., 0]) for image in examples[0]]
    own = {"learning_rate": C("rate"), "seed": V("seed"), "microbatch": B("size") // 2}
    pipeline = (
        Dataset(60, ResBatch, preloaded=(pictures, examples[1]))
        .pipeline(config={"resnet": {**config["resnet"], **own, "device": "cpu"}, "rate": 0.5})
        .init_variable("seed", default=7)
        .init_variable("loss", default=[])
        .train_res(save_to=V("loss", mode="a"))
    )
    steps(pipeline, 2)
    model = pipeline.m("resnet")
    assert model.trainer.schedule(0)[0] == 0.5
    assert (model.config["seed"], model.config["microbatch_size"]) == (7, 10)
    assert len(pipeline.v("loss")) == 2
