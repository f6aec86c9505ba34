"""NumPy oracles: for every function of `dipkernels.ops` the plainest correct program, float64 inside and outside.

The names and signatures are those of `dipkernels.ops`, without `out`. They are slow on purpose: each follows its
formula, loop by loop, so that it can be read against the lecture. The docstrings of `dipkernels.ops` apply.
"""

from importlib import import_module
from pkgutil import iter_modules

from dipkernels.reference.activation import *
from dipkernels.reference.batch_norm import *
from dipkernels.reference.boxes import *
from dipkernels.reference.concatenate import *
from dipkernels.reference.conv import *
from dipkernels.reference.conv3d import *
from dipkernels.reference.conv_max_pool import *
from dipkernels.reference.conv_transpose import *
from dipkernels.reference.dropout import *
from dipkernels.reference.geometry import *
from dipkernels.reference.linear import *
from dipkernels.reference.local_response_norm import *
from dipkernels.reference.losses import *
from dipkernels.reference.max_pool import *
from dipkernels.reference.nms import *
from dipkernels.reference.optimizers import *
from dipkernels.reference.pad import *
from dipkernels.reference.pool import *
from dipkernels.reference.pool3d import *
from dipkernels.reference.roi import *
from dipkernels.reference.softmax import *
from dipkernels.reference.softmax_cross_entropy import *
from dipkernels.reference.unpool import *
from dipkernels.reference.upsample_bilinear import *
from dipkernels.reference.warp import *

# Of every module here that says what it gives.
_MODULES = [import_module(f"dipkernels.reference.{module.name}") for module in iter_modules(__path__)]
__all__ = sorted(name for module in _MODULES for name in getattr(module, "__all__", ()))
