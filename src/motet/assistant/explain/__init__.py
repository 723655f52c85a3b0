"""Explanations whose every statement rests on evidence, and profiles of users."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
