from batch import FadeIn, FusedBatchNormalization, StochasticDepth, as_blocks, faded_in
from batch.networks.blocks import Classifier, ConvolutionBlock, ResidualBlock
from batch.networks.densenet import DenseLayer, Transition, densenet
from batch.networks.layers import SymmetricConv2D
from batch.networks.resnet import resnet, small_resnet
from batch.networks.stochastic_depth import survival_probabilities, with_stochastic_depth
from batch.networks.vgg import vgg
from batch.networks.wide_resnet import PreActivationBlock, wide_resnet
import keras

IMAGES = {"input_shape": (8, 8, 1), "classes": 3}
def functional():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2, name="last")(keras.layers.Dense(3, name="first")(inputs))
    return keras.Model(inputs, outputs)
MODEL = functional()
CALLS = {
    "ConvolutionBlock": (ConvolutionBlock, {"filters": 4}),
    "ResidualBlock": (ResidualBlock, {"filters": [4, 4]}),
    "Classifier": (Classifier, {"classes": 3}),
    "PreActivationBlock": (PreActivationBlock, {"filters": 4}),
    "DenseLayer": (DenseLayer, {"growth_rate": 4}),
    "Transition": (Transition, {"filters": 4}),
    "FusedBatchNormalization": (FusedBatchNormalization, {}),
    "SymmetricConv2D": (SymmetricConv2D, {"filters": 4, "kernel_size": 3, "padding": "same"}),
    "StochasticDepth": (StochasticDepth, lambda: {"block": ResidualBlock([4, 4])}),
    "survival_probabilities": (survival_probabilities, {"blocks": 4}),
    "with_stochastic_depth": (with_stochastic_depth, lambda: {"layers": [ResidualBlock([4, 4])], "survival": 0.5}),
    "FadeIn": (FadeIn, lambda: {"new": ResidualBlock([4, 4]), "iterations": 3}),
    "faded_in": (faded_in, lambda: {"layers": [ResidualBlock([4, 4])]}),
    "as_blocks": (as_blocks, lambda: {"model": MODEL, "cuts": ["first"]}),
    "small_resnet": (small_resnet, IMAGES),
    "resnet": (resnet, {"depth": 18, **IMAGES}),
    "wide_resnet": (wide_resnet, {**IMAGES, "depth": 10, "widen_factor": 1}),
    "densenet": (densenet, {**IMAGES, "depth": 10, "growth_rate": 4}),
    "vgg": (vgg, IMAGES),
}
ACCEPTED = {}

def test_bad_values_are_refused_by_name(case, faults_of):
    assert not faults_of(case)
