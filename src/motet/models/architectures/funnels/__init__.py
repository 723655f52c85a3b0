"""Funnels: tasks of which one can happen only after another, learnt over all rows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
