"""Methods compared fairly: the same rows, seeds and tuning budget for each, and intervals that know users and seeds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
