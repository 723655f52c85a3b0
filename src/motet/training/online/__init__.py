"""A trained bundle that goes on learning from events, between two trainings in full."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
