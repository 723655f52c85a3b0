from ._empty import EMPTY, models_home, write_empty_bundle

__all__ = ["EMPTY", "models_home", "write_empty_bundle"]
