"""What is left of a deleted user: a hash and a time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from motet.store._tables import META, TOMBSTONES
from motet.store._upsert import chunks, upsert

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

    def put(self, connection: Connection, user: str, time_us: int) -> None:
        """Note that a user is deleted."""
        upsert(connection, TOMBSTONES, [{"digest": self.digest(user), "time": time_us, "returned": False}])

    def lift(self, connection: Connection, users: Iterable[str]) -> None:
        """Note that users were put anew: what somebody tells of them now is taken, whatever time it bears."""
        for some in chunks({self.digest(user) for user in users}):
            lifted = TOMBSTONES.update().where(TOMBSTONES.c.digest.in_(some)).values(returned=True)
            connection.execute(lifted)

    def times(self, connection: Connection, users: Iterable[str]) -> dict[str, int]:
        """When users were deleted, in microseconds, for those that ever were."""
        return {user: time for user, (time, _) in self._found(connection, users).items()}

    def late(
        self, connection: Connection, told: Sequence[tuple[str | None, int | None]], *, ever: bool = False
    ) -> list[bool]:
        """Of each user and time, whether that is from before the user's deletion.

        Args:
            connection: Where to look.
            told: Users and times in microseconds; without a time it is as old as can be, but only while the user was
                not put anew.
            ever: Whether this holds also for users who were put anew since: nobody tells of them now, it comes from
                before by itself.
        """
        found = self._found(connection, {user for user, _ in told if user is not None})

        def is_late(user: str | None, time: int | None) -> bool:
            if user is None or user not in found:
                return False
            deleted, returned = found[user]
            if time is None:
                return not returned
            return time <= deleted and (ever or not returned)

        return [is_late(user, time) for user, time in told]

    def _found(self, connection: Connection, users: Iterable[str]) -> dict[str, tuple[int, bool]]:
        by_digest = {self.digest(user): user for user in users}
        found = {}
        for some in chunks(by_digest):
            rows = connection.execute(select(TOMBSTONES).where(TOMBSTONES.c.digest.in_(some)))
            found.update({by_digest[bytes(row.digest)]: (int(row.time), row.returned) for row in rows})
        return found
