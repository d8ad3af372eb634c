import utils.plots

from .keras_model.batches import with_ids
from .keras_model.block_model import BlockModel
from .keras_model.tensorboard import BlockTensorBoard
from .models.named import (
    VGG,
    DenseNet,
    EfficientNetLite0,
    ResNet,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    StochasticResNet,
    WideResNet,
)
from .models.tf_model import TFModel
from .networks.fade_in import FadeIn, faded_in
from .networks.from_torch import from_torch
from .networks.keras_models import as_blocks
from .networks.layers import FusedBatchNormalization
from .networks.stochastic_depth import StochasticDepth
from .res_batch import ResBatch, openset
from .schedules import (
    Annealed,
    AutoFreeze,
    Constant,
    Discriminative,
    FreezeOut,
    LayerFreezing,
    MultiStep,
)
from .training.event_log import EventLog
from .training.trainer import TrainingError

ax_draw = utils.plots.ax_draw

__all__ = [
    "VGG",
    "Annealed",
    "AutoFreeze",
    "BlockModel",
    "BlockTensorBoard",
    "Constant",
    "DenseNet",
    "Discriminative",
    "EfficientNetLite0",
    "EventLog",
    "FadeIn",
    "FreezeOut",
    "FusedBatchNormalization",
    "LayerFreezing",
    "MultiStep",
    "ResBatch",
    "ResNet",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "StochasticDepth",
    "StochasticResNet",
    "TFModel",
    "TrainingError",
    "WideResNet",
    "as_blocks",
    "ax_draw",
    "faded_in",
    "from_torch",
    "openset",
    "with_ids",
]
