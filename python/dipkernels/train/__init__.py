"""Training: the loop, its history, and gradient descent on any function."""

from dipkernels.train.evaluation import Evaluation, evaluate, predict
from dipkernels.train.gradient_descent import Descent, gradient_descent
from dipkernels.train.history import Epoch, History
from dipkernels.train.loop import fit

__all__ = ["Descent", "Epoch", "Evaluation", "History", "evaluate", "fit", "gradient_descent", "predict"]
