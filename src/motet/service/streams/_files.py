"""Files that grow: read like ``tail -F``, through rotation and truncation, and written a line a message."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from motet.errors import StreamError, StreamUnavailableError
from motet.service.store import Store
from motet.service.streams._messages import Cursor, OutMessage, StreamAddress, StreamMessage

__all__ = ["FileSink", "FileSource"]

_HEAD: Final = 1_024
_PART: Final = 1 << 20
_QUIET_READS: Final = (
    3  # without a new line, before a renamed file is left: its writer may still have it open
)


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a file is read.

    Attributes:
        device: Of the file.
        inode: Of the file.
        generation: Number of files that were at this path before.
        offset: Byte up to which it is read.
        head: Hash of its first bytes, at most 1,024, by which it is recognised.
        head_bytes: How many these are.
    """

    device: int
    inode: int
    generation: int = 0
    offset: int = 0
    head: str = ""
    head_bytes: int = 0


class FileSource:
    """Lines of a file that others append to.

    A file that was renamed (logrotate) is read to its end, then the new one from its beginning; a file that was
    truncated (logrotate's ``copytruncate``) is read from the beginning. How far it is read is kept in the store. A file
    that was renamed while nothing read is found in its directory by its inode.

    Args:
        address: The file.
        store: Keeps how far it is read.
        largest: Most bytes of a line; of a longer one as many are read, and one more.
        stop: Ends a wait.
        notice: Called with what an operator should know.
        once: Whether a last line without an end counts.
    """

    def __init__(
        self,
        address: StreamAddress,
        store: Store,
        largest: int,
        stop: threading.Event,
        notice: Callable[[str], None],
        *,
        once: bool = False,
    ) -> None:
        self._address, self._store, self._largest = address, store, largest
        self._stop, self._notice, self._once = stop, notice, once
        self._path, self._key = Path(address.name), f"stream in {address.where}"
        self._file: BinaryIO | None = None
        self._place = _Place(0, 0)
        self._quiet = 0

    def open(self) -> None:
        """Find the file that was read last, and go on where that ended."""
        if not self._path.is_file():
            raise StreamError(
                f"there is no file {self._path}", f"name the file, or make it: touch {self._path}"
            )
        kept = self._store.values.get(self._key)
        with self._explained():
            if kept is None:
                self._begin(0)
                return
            self._place = _Place(**kept)
            if (found := self._find()) is not None:
                self._file = found.open("rb")
                return
            self._notice(
                f"the file that was read up to byte {self._place.offset:,} is neither {self._path} nor beside it: "
                "what followed there is not read"
            )
            self._begin(self._place.generation + 1)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise StreamError(f"{self._path} may not be read", f"allow it: chmod a+r {self._path}") from None
        except OSError as error:
            cure = "see that the disk is there"
            raise StreamUnavailableError(f"{self._path} cannot be read ({error.strerror})", cure) from None

    def _find(self) -> Path | None:
        beside = (one for one in self._path.parent.iterdir() if one.name.startswith(self._path.name))
        for path in [self._path, *beside]:
            try:
                found = path.stat()
                if (found.st_dev, found.st_ino) == (self._place.device, self._place.inode):
                    with path.open("rb") as file:
                        return path if self._is_same(file) else None
            except OSError:
                continue
        return None

    def _is_same(self, file: BinaryIO) -> bool:
        """Whether a file still begins as it did, and is as long."""
        descriptor = file.fileno()
        if os.fstat(descriptor).st_size < self._place.offset:
            return False
        return _hash(os.pread(descriptor, self._place.head_bytes, 0)) == (self._place.head or _hash(b""))

    def _begin(self, generation: int) -> None:
        """Open the file that is at the path now. That this is a new one is on disk before any line of it is."""
        file = self._path.open("rb")
        try:
            found = os.fstat(file.fileno())
            place = _Place(found.st_dev, found.st_ino, generation)
            self._store.values.put(self._key, asdict(place))
        except BaseException:
            file.close()
            raise
        if self._file is not None:
            self._file.close()
        self._file, self._place, self._quiet = file, place, 0

    def read(self, limit: int, wait_s: float) -> list[StreamMessage]:
        """Some whole lines."""
        with self._explained():
            if self._file is None:
                return []
            if not self._is_same(self._file):
                self._notice(f"{self._path} was truncated: it is read from its beginning")
                self._begin(self._place.generation + 1)
            is_renamed = self._is_renamed()
            lines = self._lines(limit, is_renamed and self._quiet >= _QUIET_READS)
            if lines:
                self._quiet = 0
                return lines
            self._quiet += 1
            if is_renamed and self._quiet > _QUIET_READS:
                self._begin(self._place.generation + 1)
                return self._lines(limit, False)
        self._stop.wait(wait_s)
        return []

    def _is_renamed(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False  # between two files
        return (found.st_dev, found.st_ino) != (self._place.device, self._place.inode)

    def _lines(self, limit: int, is_complete: bool) -> list[StreamMessage]:
        assert self._file is not None  # noqa: S101 (opened before)
        messages: list[StreamMessage] = []
        at = self._place.offset
        self._file.seek(at)
        while len(messages) < limit:
            line = self._file.readline(self._largest + 2)
            end = at + len(line)
            while line and not line.endswith(b"\n") and (part := self._file.readline(_PART)):
                end += len(part)  # of a line that is too long the beginning is enough
                line = line if not part.endswith(b"\n") else line + b"\n"
            if not line or not (line.endswith(b"\n") or is_complete or self._once):
                break
            if content := line.strip():
                place = f"file:{self._path}:{self._place.generation}:{at}"
                messages.append(StreamMessage(place, content, token=end))
            at = end
        return messages

    def done(self, messages: Sequence[StreamMessage]) -> None:
        """Keep how far the file is read."""
        assert self._file is not None  # noqa: S101 (the messages are of it)
        offset, place = int(messages[-1].token), self._place
        size = min(offset, _HEAD)
        with self._explained():
            head = place.head if place.head_bytes == size else _hash(os.pread(self._file.fileno(), size, 0))
        place = _Place(place.device, place.inode, place.generation, offset, head, size)
        self._store.values.put(self._key, asdict(place))
        self._place = place

    def again(self) -> None:
        """Nothing: what was not kept is read again anyway."""

    def is_at_end(self) -> bool:
        """Whether the file at the path is read, and not one that was renamed."""
        return not self._is_renamed()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


class FileSink:
    """A file that messages are appended to, one on each line, each on disk when a call returns.

    A last line that a crash cut short is taken out, and the last whole one says how far the store is published. A file that
    another program renamed is followed by a new one.

    Args:
        address: The file.
    """

    def __init__(self, address: StreamAddress) -> None:
        self._path = Path(address.name)
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Open the file, or make it."""
        if not self._path.parent.is_dir():
            raise StreamError(
                f"there is no directory {self._path.parent}", f"make it: mkdir -p {self._path.parent}"
            )
        with self._explained():
            self._file = self._path.open("a+b")
            self._file.truncate(_end_of_lines(self._file))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (PermissionError, IsADirectoryError) as error:
            cure = "name a file in a directory of your own"
            raise StreamError(f"{self._path} cannot be written ({error.strerror})", cure) from None
        except OSError as error:
            raise StreamUnavailableError(
                f"{self._path} cannot be written ({error.strerror})", "make room"
            ) from None

    def cursor(self) -> Cursor | None:
        """That of the last line."""
        assert self._file is not None  # noqa: S101 (opened before)
        with self._explained():
            end = _end_of_lines(self._file)
            begin = _end_of_lines(self._file, max(0, end - 1))
            self._file.seek(begin)
            line = self._file.read(end - begin)
        try:
            row: Any = json.loads(line)
            return int(row["seq"]) if "seq" in row else [str(row["time"]), str(row["list_id"])]
        except (ValueError, TypeError, KeyError):
            return None

    def send(self, messages: Sequence[OutMessage]) -> None:
        """Append lines."""
        assert self._file is not None  # noqa: S101 (opened before)
        with self._explained():
            if not self._is_there(self._file):
                self._file.close()
                self._file = self._path.open("a+b")
            start = os.fstat(self._file.fileno()).st_size
            try:
                self._file.write(b"".join(one.content + b"\n" for one in messages))
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError:
                os.ftruncate(self._file.fileno(), start)  # the call may be made again
                self._file = self._path.open("a+b")  # without what the old one still had in memory
                raise

    def _is_there(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _end_of_lines(file: BinaryIO, before: int | None = None) -> int:
    """The byte behind the last line end before another byte, or before the end of the file."""
    at = os.fstat(file.fileno()).st_size if before is None else before
    while at:
        begin = max(0, at - 65_536)
        found = os.pread(file.fileno(), at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
