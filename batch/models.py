"""TFModels by name: each brings its network."""

from batch.networks.resnet import small_resnet
from batch.tf_model import TFModel


class ResNet(TFModel):
    """The small ResNet of the FreezeOut study (`batch.networks.resnet.small_resnet`)."""

    def make_network(self, shape, classes, seed):
        """The stem, four bottleneck blocks and the classifier."""
        return small_resnet(shape, classes, seed)
