"""The model suite."""

from dipkernels.models.alexnet import alexnet
from dipkernels.models.convnet import convnet
from dipkernels.models.convolutionalize import convolutionalize
from dipkernels.models.denoising import dncnn
from dipkernels.models.encoder_decoder import fcn, segnet
from dipkernels.models.lenet import lenet5
from dipkernels.models.mlp import mlp
from dipkernels.models.multi_head import multi_head
from dipkernels.models.neuron_graph import NeuronGraph
from dipkernels.models.perceptron import Perceptron, logistic_neuron, perceptron
from dipkernels.models.registration import RegistrationNet, compose, corner_error
from dipkernels.models.video import MotionNet, c3d, early_fusion, late_fusion, single_frame, slow_fusion

__all__ = [
    "MotionNet",
    "NeuronGraph",
    "Perceptron",
    "RegistrationNet",
    "alexnet",
    "c3d",
    "compose",
    "convnet",
    "convolutionalize",
    "corner_error",
    "dncnn",
    "early_fusion",
    "fcn",
    "late_fusion",
    "lenet5",
    "logistic_neuron",
    "mlp",
    "multi_head",
    "perceptron",
    "segnet",
    "single_frame",
    "slow_fusion",
]
