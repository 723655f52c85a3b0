from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from motet.errors import GenerationError
from motet.testing import check_generator
from motet.text.generate import EndpointGenerator, GenerationSettings, LocalGenerator, Prompt

Send = Callable[["Handler"], None]
"""How a server answers one call."""

SHORT = GenerationSettings(max_tokens=24)
PARIS = "The capital of France is Paris."
ASKED = Prompt("What is the capital of France?")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "sure": {"type": "boolean"}},
    "required": ["city", "sure"],
    "additionalProperties": False,
}


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server over the real model; what is in ``script`` comes first."""

    daemon_threads = True

    def __init__(self, generator: LocalGenerator) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.generator = generator
        self.script: list[Send] = []
        self.calls: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.takes_schemas = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((dict(self.headers), self.body))
        assert self.path == "/v1/chat/completions"
        (self.server.script.pop(0) if self.server.script else honest)(self)

    def reply(self, status: int, content: str | bytes, **headers: str) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def whole(text: Any, reason: str | None = "stop", **parts: Any) -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return json.dumps({"object": "chat.completion", "choices": [choice], **parts})


def piece(text: str | None, reason: str | None = None) -> str:
    delta = {} if text is None else {"content": text}
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]})}\n\n"


def honest(handler: Handler) -> None:
    """What a good server does."""
    body, generator = handler.body, handler.server.generator
    turns = body["messages"]
    system = turns[0]["content"] if turns[0]["role"] == "system" else ""
    talk = turns[1:] if system else turns
    examples = tuple((a["content"], b["content"]) for a, b in zip(talk[:-1:2], talk[1:-1:2], strict=True))
    form = body.get("response_format")
    if form is not None and not handler.server.takes_schemas:
        handler.reply(400, '{"error": "response_format is not supported"}')
        return
    settings = GenerationSettings(
        max_tokens=body["max_tokens"],
        stop=() if form else tuple(body.get("stop", ())),
        answer=form["json_schema"]["schema"] if form else None,
    )
    prompt = Prompt(talk[-1]["content"], system, examples)
    if body.get("stream"):
        pieces = "".join(piece(text) for text in generator.stream(prompt, settings))
        handler.reply(200, f": a comment\n\n{pieces}{piece(None, 'stop')}data: [DONE]\n\n")
        return
    (answer,) = generator.generate([prompt], settings)
    usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens}
    handler.reply(200, whole(answer.text, answer.ended, usage=usage))


def says(status: int, content: str | bytes, **headers: str) -> Send:
    return lambda handler: handler.reply(status, content, **headers)


paris = says(200, whole(PARIS))
"""For tests of what comes before the answer."""


def hangs(handler: Handler) -> None:
    time.sleep(1.0)


def hangs_up(handler: Handler) -> None:
    handler.connection.close()


def breaks_off(content: str) -> Send:
    """Promises more than it sends."""

    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) + 500))
        handler.end_headers()
        handler.wfile.write(content.encode())
        handler.wfile.flush()
        handler.connection.close()

    return send


def drips(handler: Handler) -> None:
    """A space every tenth of a second: never silent for long, never done."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


@pytest.fixture
def server(local_generator: LocalGenerator) -> Iterator[Server]:
    with Server(local_generator) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def generator_of(server: Server, **settings: Any) -> EndpointGenerator:
    return EndpointGenerator("smol", server.address, **{"backoff_s": 0.01, "timeout_s": 20.0, **settings})


def test_it_keeps_the_promises_of_generators(server: Server) -> None:
    check_generator(generator_of(server, timeout_s=60.0))


def test_answers_arrive_in_the_order_of_the_prompts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_LLM_KEY", "secret-1")
    prompts = [
        ASKED,
        Prompt("Say it again.", "You are brief.", (("Say yes.", "Yes."), ("Say no.", "No."))),
        Prompt("What is the capital of Italy?"),
    ]
    found = generator_of(server).generate(prompts, SHORT)
    expected = server.generator.generate(prompts, SHORT)
    assert [(a.text, a.ended, a.tokens, a.prompt_tokens) for a in found] == [
        (a.text, a.ended, a.tokens, a.prompt_tokens) for a in expected
    ]
    assert {headers["Authorization"] for headers, _ in server.calls} == {"Bearer secret-1"}
    body = next(body for _, body in server.calls if len(body["messages"]) > 1)
    assert body["messages"] == [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Say yes."},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Say no."},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": "Say it again."},
    ]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("smol", 24, 0.0)


TROUBLES: dict[str, Send] = {
    "rate limit": says(429, "slow down"),
    "error": says(500, "oops"),
    "busy": says(503, ""),
    "broken JSON": says(200, "{broken"),
    "no UTF-8": says(200, b"\xff\xfe{"),
    "deep": says(200, "[" * 100_000),
    "no choices": says(200, '{"choices": []}'),
    "a list": says(200, "[1]"),
    "no text": says(200, whole(7)),
    "empty": says(200, whole("")),
    "null": says(200, whole(None)),
    "white": says(200, whole(" \n ")),
    "filtered": says(200, whole("x", "content_filter")),
    "hangs up": hangs_up,
    "breaks off": breaks_off(whole("The capital of")),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_passing_trouble_is_tried_again(server: Server, trouble: Send) -> None:
    server.script = [trouble, trouble, paris]
    assert generator_of(server).generate([ASKED], SHORT)[0].text == PARIS
    assert len(server.calls) == 3


def test_a_silent_server_is_tried_again(server: Server) -> None:
    server.script = [hangs, hangs, paris]
    assert generator_of(server, timeout_s=0.5).generate([ASKED], SHORT)[0].text == PARIS


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (says(500, "the disk is on fire"), "failed 3 times, at last with: status 500"),
        (says(429, "slow down"), "failed 3 times, at last with: status 429"),
        (says(200, "{broken"), "failed 3 times, at last with: the reply is not JSON"),
        (says(200, whole("")), "failed 3 times, at last with: the answer is empty"),
        (hangs_up, "failed 3 times, at last with: the connection broke .RemoteProtocolError"),
    ],
)
def test_lasting_trouble_is_an_error(server: Server, trouble: Send, message: str) -> None:
    server.script = [trouble] * 3
    with pytest.raises(GenerationError, match=message):
        generator_of(server, attempts=3).generate([ASKED], SHORT)
    assert len(server.calls) == 3


def test_one_failure_fails_the_call(server: Server) -> None:
    server.script = [says(500, "oops")] * 4
    with pytest.raises(GenerationError, match="failed 2 times"):
        generator_of(server, attempts=2, parallel=1).generate([ASKED] * 3, SHORT)


def test_retry_after_is_followed(server: Server) -> None:
    server.script = [says(429, "", Retry_After="0.3"), paris]
    start_s = time.monotonic()
    generator_of(server).generate([ASKED], SHORT)
    assert time.monotonic() - start_s >= 0.3


def test_a_refusal_is_not_tried_again_and_the_key_stays_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_LLM_KEY", "secret-1")
    server.script = [says(401, "who are you")]
    with pytest.raises(GenerationError, match="status 401") as caught:
        generator_of(server).generate([ASKED], SHORT)
    assert "MOTET_LLM_KEY" in caught.value.cure
    assert "secret-1" not in str(caught.value)
    assert len(server.calls) == 1


@pytest.mark.parametrize("trouble", [drips, hangs, says(429, "", Retry_After="20")])
def test_the_time_limit_holds(server: Server, trouble: Send) -> None:
    server.script = [trouble] * 5
    start_s = time.monotonic()
    with pytest.raises(GenerationError, match="time limit ran out"):
        generator_of(server).generate([ASKED], GenerationSettings(time_limit_s=0.4))
    assert time.monotonic() - start_s < 0.9


def test_no_time_means_no_call(server: Server) -> None:
    with pytest.raises(GenerationError, match="time limit ran out"):
        generator_of(server).generate([ASKED], GenerationSettings(time_limit_s=0))
    assert server.calls == []


def test_pieces_make_the_answer(server: Server) -> None:
    pieces = list(generator_of(server).stream(ASKED, SHORT))
    assert len(pieces) > 3
    assert "".join(pieces) == server.generator.generate([ASKED], SHORT)[0].text


def test_a_stream_stops_where_it_should(server: Server) -> None:
    server.script = [says(200, piece("one E") + piece("ND two EN") + piece("D", "stop"))]
    assert "".join(generator_of(server).stream(ASKED, GenerationSettings(stop=("END",)))) == "one "


@pytest.mark.parametrize(
    "trouble", [says(200, "data: {broken\n\n"), says(200, ""), says(200, "data: [DONE]\n\n"), hangs_up]
)
def test_a_stream_that_never_began_is_tried_again(server: Server, trouble: Send) -> None:
    server.script = [trouble, says(200, piece(PARIS, "stop"))]
    assert "".join(generator_of(server).stream(ASKED, SHORT)) == PARIS


@pytest.mark.parametrize(
    "trouble",
    [
        breaks_off(piece("The capital")),
        says(200, piece("The capital")),
        says(200, piece("The capital") + "data: {broken\n\n"),
        says(200, piece("The capital") + 'data: {"error": {"message": "no memory"}}\n\n'),
        says(200, piece("The capital") + 'data: {"choices": [{"delta": 7}]}\n\n'),
    ],
)
def test_a_stream_that_breaks_off_is_no_answer(server: Server, trouble: Send) -> None:
    server.script = [trouble]
    stream = generator_of(server).stream(ASKED, SHORT)
    assert next(stream) == "The capital"
    with pytest.raises(GenerationError, match="the answer broke off"):
        next(stream)
    assert len(server.calls) == 1


@pytest.mark.parametrize("takes_schemas", [True, False])
def test_an_answer_satisfies_its_schema(server: Server, takes_schemas: bool) -> None:
    server.takes_schemas = takes_schemas
    if not takes_schemas:
        right = says(200, whole('{"city": "Paris", "sure": true}'))
        server.script = [honest, right, right]
    generator = generator_of(server, parallel=1)
    for _ in range(2):
        (answer,) = generator.generate([ASKED], GenerationSettings(answer=SCHEMA, max_tokens=40))
        assert set(json.loads(answer.text)) == {"city", "sure"}
    formats = ["response_format" in body for _, body in server.calls]
    assert formats == ([True, True] if takes_schemas else [True, False, False])
    assert all("JSON schema" in body["messages"][0]["content"] for _, body in server.calls)


@pytest.mark.parametrize("wrong", ["no JSON", '{"city": 7, "sure": true}', "{}", '{"city": "Paris"'])
def test_a_wrong_answer_is_asked_for_once_more(server: Server, wrong: str) -> None:
    server.script = [says(200, whole(wrong)), says(200, whole('{"city": "Paris", "sure": true}'))]
    (answer,) = generator_of(server).generate([ASKED], GenerationSettings(answer=SCHEMA, max_tokens=40))
    assert set(json.loads(answer.text)) == {"city", "sure"}
    assert [turn["content"] for turn in server.calls[1][1]["messages"][-2:-1]] == [wrong]
    server.script = [says(200, whole(wrong))] * 2
    with pytest.raises(GenerationError, match="answered wrongly twice"):
        generator_of(server).generate([ASKED], GenerationSettings(answer=SCHEMA))


@pytest.mark.parametrize(
    ("said", "expected"),
    [("yes", "yes"), (' "Yes." ', "yes"), ('{"answer": "no"}', "no"), ("perhaps", None), ("[]", None)],
)
def test_a_choice_is_one_of_the_choices(server: Server, said: str, expected: str | None) -> None:
    server.script = [says(200, whole(said))] * 2
    settings = GenerationSettings(choices=("yes", "no"))
    generator = generator_of(server)
    if expected is None:
        with pytest.raises(GenerationError, match="none of the choices"):
            generator.generate([ASKED], settings)
        return
    assert generator.generate([ASKED], settings)[0].text == expected
    assert list(generator.stream(ASKED, settings)) == [expected]


def test_a_server_without_counts(server: Server) -> None:
    usage = {"prompt_tokens": "many", "completion_tokens": -3}
    server.script = [says(200, whole("Paris, 巴黎", usage=usage))]
    (answer,) = generator_of(server).generate([ASKED], SHORT)
    assert (answer.prompt_tokens, answer.tokens) == (8, 4)


def test_personal_data_does_not_leave_the_process(server: Server) -> None:
    server.script = [says(200, whole("fine"))] * 2
    prompt = Prompt("I am ann@example.com", "Call ann@example.com", (("ann@example.com", "ann@example.com"),))
    generator_of(server).generate([prompt], SHORT)
    server.script = [says(200, piece("fine", "stop"))]
    list(generator_of(server).stream(prompt, SHORT))
    assert len(server.calls) == 2
    assert "ann@example.com" not in json.dumps([body for _, body in server.calls])


def test_offline_calls_this_machine_and_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_OFFLINE", "1")
    server.script = [paris]
    assert generator_of(server).generate([ASKED], SHORT)[0].text == PARIS
    with pytest.raises(GenerationError, match="MOTET_OFFLINE is set"):
        EndpointGenerator("smol", "http://192.0.2.1/v1").generate([ASKED], SHORT)


def test_nobody_listens() -> None:
    generator = EndpointGenerator("smol", "http://127.0.0.1:9/v1", attempts=2, backoff_s=0.01)
    with pytest.raises(GenerationError, match="failed 2 times, at last with: connection refused"):
        generator.generate([ASKED], SHORT)


def test_an_address_must_be_one() -> None:
    with pytest.raises(GenerationError, match="'localhost:80' is not an http address"):
        EndpointGenerator("smol", "localhost:80")


@pytest.mark.parametrize(
    "trouble",
    [
        says(500, "cannot open /srv/secret"),
        says(403, "cannot open /srv/secret"),
        says(200, "secret"),
        hangs_up,
        says(200, 'data: {"error": {"message": "cannot open /srv/secret"}}\n\n'),
    ],
)
def test_an_error_carries_neither_the_address_nor_what_the_server_said(server: Server, trouble: Send) -> None:
    generator = generator_of(server, attempts=2)
    calls = (lambda: generator.generate([ASKED], SHORT), lambda: list(generator.stream(ASKED, SHORT)))
    for call in calls:
        server.script = [trouble] * 2
        with pytest.raises(GenerationError) as caught:
            call()
        message = str(caught.value) + caught.value.problem + caught.value.cure
        assert "127.0.0.1" not in message
        assert str(server.server_port) not in message
        assert "secret" not in message
        assert "language.generator_endpoint" in message


RIGHT = '{"city": "Paris", "sure": true}'


@pytest.mark.parametrize(
    "said",
    [
        f"```json\n{RIGHT}\n```",
        f"```\n{RIGHT}\n```\n",
        f"``` JSON {RIGHT}```",
        f"Here it is:\n```json\n{RIGHT}\n```\nIs there anything else?",
        f"<think>A city? {{}} Paris, surely.</think>\n\n{RIGHT}",
        f"A city, surely.</think>{RIGHT}",
        f"<think>\nIn a fence: ```json\n{{}}\n```\n</think>\n```json\n{RIGHT}\n```",
    ],
)
def test_json_in_a_fence_or_after_thoughts_is_an_answer(server: Server, said: str) -> None:
    server.script = [says(200, whole(said))]
    (answer,) = generator_of(server).generate([ASKED], GenerationSettings(answer=SCHEMA))
    assert json.loads(answer.text) == {"city": "Paris", "sure": True}
    assert len(server.calls) == 1


def test_marks_within_json_are_left_alone(server: Server) -> None:
    said = json.dumps({"city": "a</think>b```c", "sure": False})
    server.script = [says(200, whole(said))]
    schema = {**SCHEMA, "properties": {"city": {"type": "string"}, "sure": {"type": "boolean"}}}
    assert generator_of(server).generate([ASKED], GenerationSettings(answer=schema))[0].text == said


@pytest.mark.parametrize(
    "said", ["<think>Yes or no?</think>\nno", "```\nno\n```", '```json\n{"answer": "no"}\n```']
)
def test_a_choice_in_a_fence_or_after_thoughts_is_an_answer(server: Server, said: str) -> None:
    server.script = [says(200, whole(said))]
    assert generator_of(server).generate([ASKED], GenerationSettings(choices=("yes", "no")))[0].text == "no"
