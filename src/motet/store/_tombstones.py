"""What is left of a deleted user: a hash and a time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from sqlalchemy import Connection, select

from motet.store._tables import META, TOMBSTONES
from motet.store._upsert import chunks

__all__ = ["Tombstones"]


class Tombstones:
    """Who was deleted, without saying who.

    Of a deleted user the HMAC-SHA256 of the id under the store's own salt is kept, and when. Whoever holds the
    store can try ids against it; nobody can without it.

    Args:
        salt: The store's salt.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    @classmethod
    def of(cls, connection: Connection) -> Tombstones:
        """Those of a store."""
        text = connection.execute(select(META.c.value).where(META.c.key == "salt")).scalar_one()
        return cls(bytes.fromhex(text))

    def digest(self, user: str) -> bytes:
        """The hash of an id."""
        return hmac.digest(self._salt, user.encode(), hashlib.sha256)

    def times(self, connection: Connection, users: Iterable[str]) -> dict[str, int]:
        """When users were deleted, in microseconds, for those that ever were."""
        by_digest = {self.digest(user): user for user in users}
        found = {}
        for some in chunks(by_digest):
            rows = connection.execute(select(TOMBSTONES).where(TOMBSTONES.c.digest.in_(some)))
            found.update({by_digest[bytes(row.digest)]: int(row.time) for row in rows})
        return found
