"""The durable store: events, users, items, keys, model versions; each event once, in order."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
