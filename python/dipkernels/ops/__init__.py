"""The public kernel functions, named and ordered as in torch.nn.functional where that has them."""

from importlib import import_module
from pkgutil import iter_modules

from dipkernels.ops.activation import *
from dipkernels.ops.batch_norm import *
from dipkernels.ops.boxes import *
from dipkernels.ops.concatenate import *
from dipkernels.ops.conv import *
from dipkernels.ops.conv3d import *
from dipkernels.ops.conv_max_pool import *
from dipkernels.ops.conv_transpose import *
from dipkernels.ops.dropout import *
from dipkernels.ops.geometry import *
from dipkernels.ops.linear import *
from dipkernels.ops.local_response_norm import *
from dipkernels.ops.losses import *
from dipkernels.ops.max_pool import *
from dipkernels.ops.nms import *
from dipkernels.ops.optimizers import *
from dipkernels.ops.pad import *
from dipkernels.ops.pool import *
from dipkernels.ops.pool3d import *
from dipkernels.ops.roi import *
from dipkernels.ops.softmax import *
from dipkernels.ops.softmax_cross_entropy import *
from dipkernels.ops.unpool import *
from dipkernels.ops.upsample_bilinear import *
from dipkernels.ops.warp import *

# Of every module here that says what it gives.
_MODULES = [import_module(f"dipkernels.ops.{module.name}") for module in iter_modules(__path__)]
__all__ = sorted(name for module in _MODULES for name in getattr(module, "__all__", ()))
