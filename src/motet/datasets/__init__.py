"""Real data sets one call away, synthetic worlds whose truth is known, and files fetched by hash."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
