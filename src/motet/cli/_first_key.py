"""The first key of a store, for a service that starts unattended."""

from __future__ import annotations

import os
from pathlib import Path

from motet.errors import RequestError
from motet.service.store import Store

__all__ = ["make_first_key"]


def make_first_key(store: Store, path: Path) -> bool:
    """Make a key with all scopes where a store has none, and write it to a file that its owner alone may read.

    The file is made before the key is, so that no key exists that is not written down.

    Args:
        store: Where the key is kept, as a digest.
        path: The file; one that is there already is replaced, for its key is not in this store.

    Returns:
        Whether there was none.

    Raises:
        RequestError: If the file cannot be written; no key is made then.
    """
    if store.keys.any():
        return False
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.unlink(missing_ok=True)
        place = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise RequestError(
            f"the first key cannot be written to {path} ({error.strerror})",
            "name a file in a directory of your own",
        ) from None
    with os.fdopen(place, "w") as file:
        key, _ = store.keys.create({"read", "write", "admin"}, "the first key")
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return True
