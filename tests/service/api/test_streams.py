"""What another process reads from a stream is in the features of a running service a moment later."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from motet.service.store import Store
from motet.service.streams import StreamAddress, ingest_stream


def test_an_event_of_a_stream_reaches_a_running_service(start: Any, store: Store, tmp_path: Path) -> None:
    engine = start(store)
    log, stop = tmp_path / "clicks.jsonl", threading.Event()
    log.touch()

    def read() -> None:
        with Store(tmp_path / "store.sqlite") as other:  # as another process has it
            ingest_stream(other, StreamAddress.parse(f"file:{log}"), stop=stop)

    reader = threading.Thread(target=read)
    reader.start()
    with log.open("ab") as file:
        file.write(b'{"type": "like", "user": "new", "item": "3"}\n')
    until_s = time.monotonic() + 60
    while engine.active.seq < 1:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    live = engine.active.parts.live
    assert "new" in live.history.users()
    stop.set()
    reader.join()
