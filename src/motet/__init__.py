"""motet: one model for every behaviour, in every placement, that understands text."""

__version__ = "0.1.0"
