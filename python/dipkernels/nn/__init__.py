"""Layers, the layer graph, initialisers, optimizers, summaries and saved states."""

from dipkernels.nn.activation import Activation, Maxout, Softmax
from dipkernels.nn.batch_norm import BatchNorm
from dipkernels.nn.conv_transpose import ConvTranspose2d
from dipkernels.nn.convolution import Conv2d, Conv3d
from dipkernels.nn.dropout import Dropout
from dipkernels.nn.folding import fold_batch_norm
from dipkernels.nn.graph import Graph, Sequential
from dipkernels.nn.initializers import INITIALIZERS
from dipkernels.nn.layer import Layer
from dipkernels.nn.linear import Linear
from dipkernels.nn.local_response_norm import LocalResponseNorm
from dipkernels.nn.merge import Add, Concatenate
from dipkernels.nn.onnx_export import export_onnx
from dipkernels.nn.optimizers import OPTIMIZERS, SGD, AdaDelta, AdaGrad, Adam, Optimizer
from dipkernels.nn.pooling import (
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool2d,
    GlobalAvgPool3d,
    L2Pool2d,
    MaxPool2d,
    MaxPool3d,
    SumPool2d,
)
from dipkernels.nn.reshape import Flatten, Frame, Pad2d
from dipkernels.nn.serialization import load_state, read_metadata, save_state
from dipkernels.nn.summary import summary
from dipkernels.nn.upsampling import BedOfNails2d, MaxUnpool2d, MaxUnpool3d, UpsampleBilinear2d, UpsampleNearest2d
from dipkernels.nn.weights import Weights

__all__ = [
    "INITIALIZERS",
    "OPTIMIZERS",
    "SGD",
    "Activation",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "Add",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "BedOfNails2d",
    "Concatenate",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "Frame",
    "GlobalAvgPool2d",
    "GlobalAvgPool3d",
    "Graph",
    "L2Pool2d",
    "Layer",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Maxout",
    "Optimizer",
    "Pad2d",
    "Sequential",
    "Softmax",
    "SumPool2d",
    "UpsampleBilinear2d",
    "UpsampleNearest2d",
    "Weights",
    "export_onnx",
    "fold_batch_norm",
    "load_state",
    "read_metadata",
    "save_state",
    "summary",
]
