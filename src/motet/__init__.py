"""motet: one model for every behaviour, in every scenario, that understands text.

Names are imported when they are first used (``__init__.pyi`` lists them), so that ``import motet`` costs nothing.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
