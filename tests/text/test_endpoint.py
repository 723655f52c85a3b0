from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from motet.errors import LanguageError
from motet.text.encode import CTranslate2Encoder, EndpointEncoder
from motet.text.safety import redact

Answer = tuple[int, str | bytes] | Callable[[list[str]], tuple[int, str | bytes]]


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server over the real encoder; answers of ``script`` come first."""

    daemon_threads = True

    def __init__(self, encoder: CTranslate2Encoder) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.encoder = encoder
        self.script: list[Answer] = []
        self.headers: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((self.path, dict(self.headers), question))
        texts = question["input"]
        answer = self.server.script.pop(0) if self.server.script else good(self.server.encoder)
        status, body = answer(texts) if callable(answer) else answer
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def good(encoder: CTranslate2Encoder) -> Callable[[list[str]], tuple[int, str]]:
    def answer(texts: list[str]) -> tuple[int, str]:
        vectors = encoder.encode(texts).tolist()
        data = [{"index": i, "object": "embedding", "embedding": v} for i, v in enumerate(vectors)]
        return 200, json.dumps({"object": "list", "data": data[::-1]})  # any order is allowed

    return answer


def body(*rows: object) -> tuple[int, str]:
    return 200, json.dumps({"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]})


def hang(_: list[str]) -> tuple[int, str]:
    time.sleep(1.0)
    return 200, "{}"


@pytest.fixture
def server(fast_encoder: CTranslate2Encoder) -> Iterator[Server]:
    with Server(fast_encoder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def encoder_of(server: Server, **settings: Any) -> EndpointEncoder:
    return EndpointEncoder("minilm", server.address, **{"backoff_s": 0.01, "timeout_s": 5.0, **settings})


def test_vectors_arrive_in_the_order_of_the_texts(
    server: Server, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_EMBEDDINGS_KEY", "secret-1")
    encoder = encoder_of(server, batch_size=16, max_tokens=512)
    texts = [*sentences[:40], ""]
    vectors = encoder.encode(texts)
    np.testing.assert_allclose(vectors, server.encoder.encode([redact(t) for t in texts]), atol=1e-6)
    path, headers, question = server.calls[-1]
    assert path == "/v1/embeddings"
    assert headers["Authorization"] == "Bearer secret-1"
    assert question["model"] == "minilm"
    assert [len(question["input"]) for _, _, question in server.calls] == [1, 16, 16, 8]


def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTET_EMBEDDINGS_KEY", raising=False)
    encoder_of(server).encode(["a"])
    assert "Authorization" not in server.calls[0][1]


@pytest.mark.parametrize(
    "trouble", [(429, "slow down"), (500, "oops"), (503, ""), (200, "{broken"), (200, b"\xff\xfe{"), hang]
)
def test_passing_trouble_is_tried_again(server: Server, trouble: Answer) -> None:
    encoder = encoder_of(server, timeout_s=0.5)
    server.encoder.encode(["warm"])
    server.script = [trouble, trouble]
    np.testing.assert_allclose(encoder.encode(["a"]), server.encoder.encode(["a"]), atol=1e-6)
    assert len(server.calls) == 4  # two failed, one asked for the width, one for the text


def test_retry_after_is_followed(server: Server) -> None:
    encoder = encoder_of(server)
    assert encoder.width == 384
    server.script, server.headers = [(429, "")], {"Retry-After": "0.3"}
    start_s = time.monotonic()
    encoder.encode(["a"])
    assert time.monotonic() - start_s >= 0.3


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ((500, "the disk is on fire"), "failed 3 times, at last with: status 500"),
        ((200, "{broken"), "the reply is not JSON"),
        (hang, r"no reply within 0\.2 s"),
    ],
)
def test_lasting_trouble_is_an_error(server: Server, trouble: Answer, message: str) -> None:
    server.script = [trouble] * 3
    with pytest.raises(LanguageError, match=message):
        encoder_of(server, attempts=3, timeout_s=0.2).encode(["a"])
    assert len(server.calls) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (body([0.1] * 384), "holds 1 vectors for 2 texts"),
        (body([0.1] * 384, [0.1] * 384, [0.1] * 384), "holds 3 vectors for 2 texts"),
        (body([0.1] * 384, [0.1] * 3), "differ in length"),
        (body([0.1] * 5, [0.1] * 5), "vectors of 5 numbers after some of 384"),
        (body([0.1] * 384, [float("nan")] * 384), "not finite"),
        (body(["x"] * 384, ["y"] * 384), "not numbers"),
        (body([], []), "not lists of numbers"),
        ((200, '{"data": null}'), "no data"),
        ((200, "[]"), "no data"),
        ((200, json.dumps({"data": [{"index": 0, "embedding": [1]}] * 2})), "2 vectors for 2 texts"),
    ],
)
def test_a_wrong_reply_is_refused_at_once(server: Server, answer: Answer, message: str) -> None:
    encoder = encoder_of(server)
    assert encoder.width == 384
    server.script = [answer]
    with pytest.raises(LanguageError, match=message):
        encoder.encode(["a", "b"])
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("status", "cure"), [(401, "MOTET_EMBEDDINGS_KEY"), (404, "language.endpoint"), (400, "max_tokens")]
)
def test_a_refusal_is_not_tried_again_and_the_key_stays_secret(
    server: Server, status: int, cure: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTET_EMBEDDINGS_KEY", "secret-1")
    caplog.set_level(0)
    server.script = [(status, "no")]
    encoder = encoder_of(server)
    with pytest.raises(LanguageError, match=f"status {status}") as caught:
        encoder.encode(["a"])
    assert cure in caught.value.cure
    assert len(server.calls) == 1
    assert "secret-1" not in str(caught.value) + caplog.text + repr(vars(encoder)) + encoder.settings_key


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.script, server.headers = [(307, "")], {"Location": "http://127.0.0.1:9/v1/embeddings"}
    with pytest.raises(LanguageError, match="status 307"):
        encoder_of(server).encode(["a"])


def test_nobody_listens() -> None:
    encoder = EndpointEncoder("minilm", "http://127.0.0.1:9/v1", attempts=2, backoff_s=0.01)
    with pytest.raises(LanguageError, match="connection refused"):
        encoder.encode(["a"])


def test_personal_data_does_not_leave_the_process(server: Server) -> None:
    encoder_of(server).encode(["call me at 555-0199", "card 4111 1111 1111 1111, mail ann@example.com"])
    sent = [text for _, _, question in server.calls for text in question["input"]]
    assert sent == ["width", "call me at [phone]", "card [card], mail [mail]"]


def test_offline_calls_this_machine_and_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_OFFLINE", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody listens: a call through it would fail
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert encoder_of(server, attempts=1).encode(["a"]).shape == (1, 384)
    encoder = EndpointEncoder("minilm", "http://192.0.2.1:8000/v1", attempts=1, timeout_s=0.1)
    with pytest.raises(
        LanguageError, match=r"MOTET_OFFLINE is set, so the endpoint of language\.endpoint is not called"
    ):
        encoder.encode(["a"])


def test_an_address_must_be_one() -> None:
    with pytest.raises(LanguageError, match="not an http address"):
        EndpointEncoder("minilm", "localhost:8000")


@pytest.mark.parametrize(
    "trouble", [(500, "cannot open /srv/secret"), (400, "cannot open /srv/secret"), (200, "{x"), (200, "[]")]
)
def test_an_error_carries_neither_the_address_nor_what_the_server_said(
    server: Server, trouble: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "motet.text")
    server.script = [trouble] * 2
    with pytest.raises(LanguageError) as caught:
        encoder_of(server, attempts=2).encode(["a"])
    message = str(caught.value) + caught.value.problem + caught.value.cure
    assert "127.0.0.1" not in message
    assert str(server.server_port) not in message
    assert "secret" not in message
    assert "language.endpoint" in message
    if trouble[0] != 200:  # type: ignore[index]
        assert "cannot open /srv/secret" in caplog.text  # where the cure says it is
