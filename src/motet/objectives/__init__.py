"""How tasks are balanced; tensors only."""

from motet.objectives._balance import (
    BALANCERS,
    Balancer,
    GramianWeights,
    build_balancer,
    gramian,
    register_balancer,
)

__all__ = [
    "BALANCERS",
    "Balancer",
    "GramianWeights",
    "build_balancer",
    "gramian",
    "register_balancer",
]
