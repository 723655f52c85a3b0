"""Task losses and how tasks are balanced; tensors only."""

from motet.objectives._balance import BALANCERS, Balancer, GramianWeights, build_balancer, gramian
from motet.objectives._losses import sampled_softmax_loss, task_loss

__all__ = [
    "BALANCERS",
    "Balancer",
    "GramianWeights",
    "build_balancer",
    "gramian",
    "sampled_softmax_loss",
    "task_loss",
]
