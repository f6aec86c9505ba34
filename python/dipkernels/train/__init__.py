"""Training: the loop, its history, and gradient descent on any function."""

from dipkernels.train.automated_focal import AutomatedFocalLoss
from dipkernels.train.evaluation import Evaluation, evaluate, predict, predict_heads
from dipkernels.train.gradient_descent import Descent, gradient_descent
from dipkernels.train.history import Epoch, History
from dipkernels.train.loop import fit
from dipkernels.train.multitask import HeadTask, MultiTaskLoss, ScheduledTraining, fit_tasks, task_scores
from dipkernels.train.ranks import Ranks

__all__ = [
    "AutomatedFocalLoss",
    "Descent",
    "Epoch",
    "Evaluation",
    "HeadTask",
    "History",
    "MultiTaskLoss",
    "Ranks",
    "ScheduledTraining",
    "evaluate",
    "fit",
    "fit_tasks",
    "gradient_descent",
    "predict",
    "predict_heads",
    "task_scores",
]
