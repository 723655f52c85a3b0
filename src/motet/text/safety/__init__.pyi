from ._as_data import as_data, characters_for, clean_text, delimit, fuse
from ._redact import Redaction, redact, redactions
from ._suspicion import FLAG_KINDS, Flag, suspicion, without_suspicious

__all__ = [
    "FLAG_KINDS",
    "Flag",
    "Redaction",
    "as_data",
    "characters_for",
    "clean_text",
    "delimit",
    "fuse",
    "redact",
    "redactions",
    "suspicion",
    "without_suspicious",
]
