"""Training: the loop, its step, losses and balancing, checkpoints, and the bundle it writes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
