"""Training in the service: from an empty start, again and again, checked before it is served."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
