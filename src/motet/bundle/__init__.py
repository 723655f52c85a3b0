"""The trained thing on disk."""

from motet.bundle._bundle import Bundle, check_place, load_bundle, save_bundle, write_metrics
from motet.bundle._manifest import FORMAT, read_manifest

__all__ = ["FORMAT", "Bundle", "check_place", "load_bundle", "read_manifest", "save_bundle", "write_metrics"]
