from ._affinity import TaskAffinity, task_affinity
from ._balancer import Balancer, WeightedBalancer, gramian, jacobian, with_gradient
from ._gradients import GradientDirection, GramianWeights
from ._table import BALANCERS, balancer_options, build_balancer, register_balancer

__all__ = [
    "BALANCERS",
    "Balancer",
    "GradientDirection",
    "GramianWeights",
    "TaskAffinity",
    "WeightedBalancer",
    "balancer_options",
    "build_balancer",
    "gramian",
    "jacobian",
    "register_balancer",
    "task_affinity",
    "with_gradient",
]
