"""Answers as no client should have to see them: what a broken model, endpoint or proxy may send.

Each is the bytes of a whole HTTP response, or of what came of it before the connection was closed.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Ends = Literal[
    "answered",
    "malformed",
    "too_long",
    "refused",
    "auth",
    "rate_limited",
    "overloaded",
    "timeout",
    "unknown",
    "loop_limit",
]
"""What a chat comes to that gets nothing else: a class of failure, a bound of its turns, or an answer."""

_10_MB = 10_000_000
_JSON = ("Content-Type: application/json",)
_CONTENT = '{"urgency": "low", "queue": "general"}'
_SURROGATE = "half of a pair: \ud800"


@dataclass(frozen=True, slots=True)
class Spoilt:
    """``make`` gives the bytes; what ``hangs`` is never closed after them."""

    ends: Ends
    make: Callable[[], bytes]
    hangs: bool = False


def _http(
    body: bytes, status: str = "200 OK", headers: tuple[str, ...] = _JSON, *, length: int | None = None
) -> bytes:
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + body


def _completion(message: Any, finish_reason: str = "stop", **fields: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], **fields}).encode()


def _says(content: Any, **message: Any) -> bytes:
    return _completion({"role": "assistant", "content": content, **message})


def _calls(*calls: Any) -> bytes:
    return _says(None, tool_calls=list(calls))


def _call(name: Any = "no_such_tool", arguments: Any = "{}", number: Any = "c1") -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def _chunked(*chunks: bytes, ended: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + parts + (b"0\r\n\r\n" if ended else b"")


def _body(ends: Ends, body: bytes) -> Spoilt:
    return Spoilt(ends, lambda: _http(body))


def _raw(ends: Ends, raw: bytes) -> Spoilt:
    return Spoilt(ends, lambda: raw)


_GOOD = _says(_CONTENT)


def _cut() -> Iterator[tuple[str, Spoilt]]:
    for part in range(1, 20):
        yield f"cut after {part} of 20", _body("malformed", _GOOD[: len(_GOOD) * part // 20])


def _no_completion() -> Iterator[tuple[str, Spoilt]]:
    for text in (
        "null",
        "true",
        "0",
        "1e999",
        "NaN",
        '"text"',
        "[]",
        "[[]]",
        "{}",
        '{"choices": null}',
        '{"choices": {}}',
        '{"choices": []}',
        '{"choices": [null]}',
        '{"choices": "abc"}',
        '{"choices": [[]]}',
        '{"choices": [{}]}',
        '{"choices": [{"message": null}]}',
        '{"choices": [{"message": "hello"}]}',
        '{"choices": [{"message": []}]}',
        '{"choices": [{"message": {}}]}',
        '{"error": {"message": "no", "code": 500}}',
        _GOOD.decode() * 2,
        "9" * 5_000,
        "[" * 100_000,
        '{"a":' * 100_000,
    ):
        yield f"no completion: {text[:40]} ({len(text)})", _body("malformed", text.encode())
    contents: tuple[Any, ...] = (None, 1, 1.5, True, [], {}, [{"type": "text", "text": _CONTENT}])
    for content in contents:
        yield f"content {content!r}", _body("malformed", _says(content))


def _tools() -> Iterator[tuple[str, Spoilt]]:
    wrong: tuple[Any, ...] = (
        None,
        1,
        "call",
        {},
        {"id": "c1"},
        {"id": "c1", "function": None},
        _call(number=1),
        _call(name=None),
        _call(name=["a"]),
        _call(arguments={"order": 1}),
        _call(arguments=None),
    )
    for number, call in enumerate(wrong):
        yield f"call {number} of a wrong type", _body("malformed", _calls(call))
    for number, calls in enumerate((5, "calls", {"id": "c1"}, True)):
        yield f"calls {number} of a wrong type", _body("malformed", _says(None, tool_calls=calls))
    yield "tool that does not exist", _body("loop_limit", _calls(_call()))
    yield "tool without a name", _body("loop_limit", _calls(_call(name="")))
    yield "tool with a long name", _body("loop_limit", _calls(_call(name="n" * 10_000)))
    # What was said goes back with the next turn, which no endpoint takes.
    yield "tool with half of a pair in its name", _body("refused", _calls(_call(name=_SURROGATE)))
    yield "arguments that are no JSON", _body("loop_limit", _calls(_call(arguments="{'order': 1")))
    yield "300 calls at once", _body("loop_limit", _calls(*(_call(number=str(n)) for n in range(300))))
    yield "two calls with one id", _body("loop_limit", _calls(_call(), _call()))


def _usage() -> Iterator[tuple[str, Spoilt]]:
    given: dict[str, tuple[Ends, Any]] = {
        "text": ("malformed", "many"),
        "a list": ("malformed", [1, 2]),
        "a number": ("malformed", 5),
        "tokens as text": ("answered", {"prompt_tokens": "3", "completion_tokens": "2"}),
        "negative": ("answered", {"prompt_tokens": -3, "completion_tokens": -2}),
        "null": ("answered", {"prompt_tokens": None, "completion_tokens": None}),
        "enormous": ("answered", {"prompt_tokens": 10**300, "completion_tokens": 1e308}),
    }
    message = {"role": "assistant", "content": _CONTENT}
    for name, (ends, usage) in given.items():
        yield f"usage: {name}", _body(ends, _completion(message, usage=usage))


def _structure() -> Iterator[tuple[str, Spoilt]]:
    for content in (
        "",
        " ",
        "null",
        "[]",
        "{}",
        "5",
        _CONTENT[:-1],
        _CONTENT[:12],
        f"```json\n{_CONTENT}\n```",
        f"Sure! {_CONTENT}",
        f"{_CONTENT} Anything else?",
        f"[{_CONTENT}]",
        f"\ufeff{_CONTENT}",
        _CONTENT.replace('"', "'"),
        _CONTENT.replace("}", ",}"),
        '{"urgency": 5, "queue": []}',
        '{"urgency": null, "queue": null}',
        '{"urgency": "at once", "queue": "general"}',
        '{"urgency": "low", "queue": "general", "why": 1}',
        '{"urgency": "low", "queue": "\\ud800"}',
        "\0\0\0",
        "<html><body>502 Bad Gateway</body></html>",
        "[" * 100_000,
        '{"urgency": "low", "queue": ' + "9" * 5_000 + "}",
        "x" * 1_000_000,
    ):
        yield f"structure: {content[:40]!r} ({len(content)})", _body("malformed", _says(content))
    # It is told what was wrong with what it said, which no endpoint takes.
    yield "structure: half of a pair", _body("refused", _says(_SURROGATE))


def _ended_early() -> Iterator[tuple[str, Spoilt]]:
    message = {"role": "assistant", "content": _CONTENT}
    yield "text cut off at the limit", _body("too_long", _completion(message, "length"))
    calls = {"role": "assistant", "content": None, "tool_calls": [_call(arguments='{"or')]}
    yield "call cut off at the limit", _body("too_long", _completion(calls, "length"))
    for number, refusal in enumerate(("I will not", _SURROGATE, {"why": "no"}, "no " * 300_000)):
        yield f"refusal {number}", _body("refused", _says(None, refusal=refusal))


def _encodings() -> Iterator[tuple[str, Spoilt]]:
    accented = _completion({"content": "é"}).replace(b"\\u00e9", "é".encode("latin-1"))
    yield "Latin-1", _body("malformed", accented)
    yield "UTF-16", _body("answered", _GOOD.decode().encode("utf-16"))
    yield "UTF-32", _body("answered", _GOOD.decode().encode("utf-32"))
    yield "UTF-8 with a mark of its order", _body("answered", b"\xef\xbb\xbf" + _GOOD)
    yield "EBCDIC", _body("malformed", _GOOD.decode().encode("cp500"))
    yield "bytes that are no text", _body("malformed", bytes(range(128, 256)) * 10)
    yield "zero bytes", _body("malformed", bytes(1_000))
    for charset in ("nonsense", "hex", "utf-16"):
        headers = (f"Content-Type: application/json; charset={charset}",)
        yield f"charset {charset}", _raw("answered", _http(_GOOD, headers=headers))
    for coding in ("gzip", "deflate"):
        coded = _http(_GOOD, headers=(*_JSON, f"Content-Encoding: {coding}"))
        yield f"said to be {coding}", _raw("malformed", coded)
    zipped = _http(gzip.compress(_GOOD)[:-12], headers=(*_JSON, "Content-Encoding: gzip"))
    yield "gzip cut short", _raw("malformed", zipped)


def _large() -> Iterator[tuple[str, Spoilt]]:
    yield "10 MB of text", Spoilt("too_long", lambda: _http(_says("x" * _10_MB)))
    yield "10 MB of spaces", Spoilt("too_long", lambda: _http(b" " * _10_MB))
    yield "10 MB of HTML", Spoilt("too_long", lambda: _http(b"<p>" * (_10_MB // 3)))
    yield "10 MB in chunks", Spoilt("too_long", lambda: _chunked(*[b" " * 10_000] * 1_000))
    zipped = (*_JSON, "Content-Encoding: gzip")
    yield (
        "10 MB that were zipped",
        Spoilt("too_long", lambda: _http(gzip.compress(_says("x" * _10_MB)), headers=zipped)),
    )
    yield "10 MB of a refusal", Spoilt("refused", lambda: _http(b"x" * _10_MB, "400 Bad Request"))
    yield "10 MB of an error", Spoilt("overloaded", lambda: _http(b"x" * _10_MB, "500 Oh"))


def _other_documents() -> Iterator[tuple[str, Spoilt]]:
    for name, kind, body in (
        ("nothing", "application/json", b""),
        ("a line's end", "application/json", b"\r\n"),
        ("HTML", "text/html", b"<!doctype html><title>Sign in</title>"),
        ("XML", "application/xml", b"<?xml version='1.0'?><error/>"),
        ("events", "text/event-stream", b"data: " + _GOOD + b"\n\ndata: [DONE]\n\n"),
        ("lines of JSON", "application/x-ndjson", _GOOD + b"\n" + _GOOD),
        ("text", "text/plain", b"upstream connect error"),
        ("an image", "image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ):
        yield f"document: {name}", _raw("malformed", _http(body, headers=(f"Content-Type: {kind}",)))
    yield "no content", _raw("malformed", b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def _statuses() -> Iterator[tuple[str, Spoilt]]:
    html = b"<html><h1>" + _SURROGATE.encode(errors="surrogatepass") + b"</h1></html>"
    told = json.dumps({"error": {"message": _SURROGATE, "code": ["a"]}}).encode()
    statuses: dict[str, Ends] = {
        "301 Moved Permanently": "unknown",
        "304 Not Modified": "unknown",
        "400 Bad Request": "refused",
        "401 Unauthorized": "auth",
        "403 Forbidden": "auth",
        "404 Not Found": "refused",
        "408 Request Timeout": "overloaded",
        "413 Content Too Large": "too_long",
        "418 I'm a teapot": "refused",
        "422 Unprocessable Content": "refused",
        "429 Too Many Requests": "rate_limited",
        "500 Internal Server Error": "overloaded",
        "502 Bad Gateway": "overloaded",
        "503 Service Unavailable": "overloaded",
        "999 Request Denied": "overloaded",
    }
    for status, ends in statuses.items():
        body = b"" if status.startswith("304") else html
        yield f"status {status}", _raw(ends, _http(body, status, ("Location: /elsewhere",)))
    for number, body in enumerate((told, b"null", b"[1]", b'{"error": null}', b"[" * 60_000, b"\xff\xfe")):
        yield f"refusal of an odd form {number}", _raw("refused", _http(body, "400 Bad Request"))
    for wait in ("soon", "-5", "nan", "Fri, 31 Dec 9999 99:99:99", "Mon, 01 Jan 0001 00:00:00 +2359"):
        yield f"Retry-After: {wait}", _raw("rate_limited", _http(b"", "429 Wait", (f"Retry-After: {wait}",)))


def _broken_http() -> Iterator[tuple[str, Spoilt]]:
    broken = {
        "closed without a byte": b"",
        "no HTTP": b"-ERR unknown command\r\n",
        "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
        "a status line alone": b"HTTP/1.1 200 OK\r\n",
        "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
        "a status that is no number": b"HTTP/1.1 OK 200\r\n\r\n",
        "fewer bytes than said": _http(_GOOD, length=len(_GOOD) + 100),
        "a negative length": _http(_GOOD, length=-1),
        "lengths that differ": _http(_GOOD, headers=("Content-Length: 3",)),
        "a header of 100 KB": _http(_GOOD, headers=(f"X-Header: {'x' * 100_000}",)),
        "chunks that do not end": _chunked(_GOOD[:20], ended=False),
        "a chunk of no size": _chunked(ended=False) + b"zz\r\n{}\r\n0\r\n\r\n",
        "a chunk shorter than said": _chunked(ended=False) + b"ff\r\n{}\r\n",
    }
    for name, raw in broken.items():
        yield f"HTTP: {name}", _raw("overloaded", raw)
    yield "silence after half an answer", Spoilt("timeout", lambda: _http(_GOOD)[:-9], hangs=True)
    yield "silence after a header", Spoilt("timeout", lambda: b"HTTP/1.1 200 OK\r\n", hangs=True)


ANSWERS: Mapping[str, Spoilt] = dict(
    each
    for kind in (
        _cut,
        _no_completion,
        _tools,
        _usage,
        _structure,
        _ended_early,
        _encodings,
        _large,
        _other_documents,
        _statuses,
        _broken_http,
    )
    for each in kind()
)
"""By name. What is asked for is a structure with an ``urgency`` and a ``queue``, without tools."""
IN_TURN: tuple[Spoilt, ...] = tuple(each for each in ANSWERS.values() if not each.hangs)
