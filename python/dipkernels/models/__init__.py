"""The model suite."""

from dipkernels.models.alexnet import alexnet
from dipkernels.models.convnet import convnet
from dipkernels.models.convolutionalize import convolutionalize
from dipkernels.models.encoder_decoder import fcn, segnet
from dipkernels.models.lenet import lenet5
from dipkernels.models.mlp import mlp
from dipkernels.models.neuron_graph import NeuronGraph
from dipkernels.models.perceptron import Perceptron, logistic_neuron, perceptron

__all__ = [
    "NeuronGraph",
    "Perceptron",
    "alexnet",
    "convnet",
    "convolutionalize",
    "fcn",
    "lenet5",
    "logistic_neuron",
    "mlp",
    "perceptron",
    "segnet",
]
