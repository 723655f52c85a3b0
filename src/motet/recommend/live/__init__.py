"""State that changes while serving: new items, and what users did a second ago."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
