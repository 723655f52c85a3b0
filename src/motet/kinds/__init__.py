"""What features and tasks can be: one kind a file, with all that motet does with it.

``register_feature_kind`` and ``register_task_kind`` add kinds from elsewhere; see docs/guide/extending.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
