"""Clients that mean no good: slow, oversized, smugglers; each is bounded, and others go on."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import requests
from support.fakes import FakeGlance, FakeKeystone, serve, token_of
from support.live import Live, glance_environ, live_shim

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.fakecloud.image_file import complete

pytestmark = pytest.mark.live

TOKEN = f"X-Auth-Token: {token_of('demo')}\r\n".encode()
HOST = b"Host: shim.example\r\n"
SLOW = {"SHIM_CLIENT_TIMEOUT": "1.5", "SHIM_REQUEST_TIMEOUT": "4"}
LONGEST_SECONDS = 5.5  # both together
SLACK_SECONDS = 4.0
MANY = 40  # more than SHIM_THREADS
FEW = 4  # of those whose answers take megabytes each


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return the live service over the fakes, with many large images."""
    images = [complete({"id": f"i{n}", "text": "x" * 7000}) for n in range(900)]
    glance = FakeGlance(service=MemoryImageService(images))
    keystone = FakeKeystone()
    log = tmp_path_factory.mktemp("hostile") / "log"
    with serve(glance) as glance.url, serve(keystone) as keystone.url:
        keystone.glance_url = glance.url
        with live_shim(log, **glance_environ(keystone) | SLOW) as live:
            yield live


def connect(live: Live) -> socket.socket:
    address = urlsplit(live.url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(LONGEST_SECONDS + SLACK_SECONDS)
    sock.connect((str(address.hostname), address.port))
    return sock


def post(length: int) -> bytes:
    line = b"POST /v2/demo/images/i1/metadata HTTP/1.1\r\n"
    return line + HOST + TOKEN + b"Content-Length: %d\r\n\r\n" % length


GET_ALL = b"GET /v2/demo/images/detail HTTP/1.1\r\n" + HOST + TOKEN + b"\r\n"


def sends(data: bytes) -> Callable[[socket.socket], None]:
    return lambda sock: sock.sendall(data)


def drips(first: bytes, rest: bytes) -> Callable[[socket.socket], None]:
    """Return what sends one byte every 0.2 s."""

    def drip(sock: socket.socket) -> None:
        sock.sendall(first)
        for number in range(len(rest)):
            sock.sendall(rest[number : number + 1])
            time.sleep(0.2)

    return drip


def reads_slowly(sock: socket.socket) -> None:
    sock.sendall(GET_ALL)
    for _ in range(round(LONGEST_SECONDS / 0.2) + 5):  # what the kernel holds can be read on
        sock.recv(1)
        time.sleep(0.2)


SLOW_CLIENTS: dict[str, Callable[[socket.socket], None]] = {
    "half a line": sends(b"GET /v2/de"),
    "half a head": sends(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n"),
    "a head in drops": drips(b"GET /v2/ HTTP/1.1\r\nX-Long: ", b"x" * 100),
    "half a body": sends(post(100) + b'{"metadata"'),
    "a body in drops": drips(post(100), b"x" * 100),
    "half a chunk": sends(
        post(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"64\r\n{"
    ),
    "reads nothing": sends(GET_ALL),
    "reads in drops": reads_slowly,
    "half a second request": sends(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\nGET /v2/ HT"),
}


CUT = "was too slow to send its request or read its response: disconnected"


ALWAYS = {"half a head", "a body in drops"}  # the others take their time with `make chaos`


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ALWAYS else pytest.mark.chaos)
        for name in SLOW_CLIENTS
    ],
)
def test_a_slow_client_is_cut_and_harms_nobody(name: str, live: Live) -> None:
    behave = SLOW_CLIENTS[name]
    many = FEW if name.startswith("reads") else MANY

    def be(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            behave(sock)

    before = live.log.read_text().count(CUT)
    deadline = time.monotonic() + LONGEST_SECONDS + SLACK_SECONDS
    took = []
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(live)) for _ in range(many)]
        threads = [threading.Thread(target=be, args=(sock,)) for sock in socks]
        for thread in threads:
            stack.callback(thread.join)
            thread.start()
        while live.log.read_text().count(CUT) < before + many:
            assert time.monotonic() < deadline
            took.append(requests.get(f"{live.url}/healthcheck", timeout=20).elapsed.total_seconds())
            time.sleep(0.02)
    assert max(took) < 1
    assert "Traceback" not in live.log.read_text()


def test_a_client_that_sends_nothing_is_cut_when_its_time_is_over(live: Live) -> None:
    started = time.monotonic()
    with connect(live) as sock:
        assert b"" == sock.recv(1)
    took = time.monotonic() - started
    assert 1.5 <= took < 1.5 + SLACK_SECONDS


def test_a_client_that_does_not_close_its_side_holds_nobody_up(live: Live) -> None:
    request = b"GET /v2/ HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            sock = stack.enter_context(connect(live))
            sock.sendall(request)
        time.sleep(0.1)
        answer = requests.get(f"{live.url}/healthcheck", timeout=60)
    assert answer.elapsed.total_seconds() < 1


def raw(live: Live, data: bytes) -> bytes:
    """Return all that comes back until the server closes."""
    with connect(live) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while chunk := sock.recv(2**16):
                answer += chunk
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def request(*fields: bytes, line: bytes = b"POST /v2/demo/images HTTP/1.1") -> bytes:
    return b"\r\n".join([line, HOST.strip(), TOKEN.strip(), *fields]) + b"\r\n\r\n"


SMUGGLED = b"GET /healthcheck HTTP/1.1\r\nHost: inner\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"

REFUSED: dict[str, bytes] = {
    # smuggling: of two readings of where a request ends none may be taken
    "length and chunks": request(b"Content-Length: 4", CHUNKED) + b"0\r\n\r\n" + SMUGGLED,
    "chunks and length": request(CHUNKED, b"Content-Length: 4") + b"0\r\n\r\n" + SMUGGLED,
    "two lengths": request(b"Content-Length: 0", b"Content-Length: 43") + SMUGGLED,
    "a list of lengths": request(b"Content-Length: 0, 43") + SMUGGLED,
    "a signed length": request(b"Content-Length: +0") + SMUGGLED,
    "a negative length": request(b"Content-Length: -1") + SMUGGLED,
    "a length in hex": request(b"Content-Length: 0x0") + SMUGGLED,
    "an odd digit": request(b"Content-Length: \xd9\xa0") + SMUGGLED,
    "chunked twice": request(CHUNKED, CHUNKED) + b"0\r\n\r\n" + SMUGGLED,
    "an unknown coding": request(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n" + SMUGGLED,
    "chunked and then not": request(b"Transfer-Encoding: chunked, identity") + SMUGGLED,
    "a blank before the colon": request(b"Content-Length : 0") + SMUGGLED,
    "a folded field": request(b"X-A: b\r\n Transfer-Encoding: chunked") + SMUGGLED,
    "a NUL in a name": request(b"X-\0A: b") + SMUGGLED,
    "a NUL in a value": request(b"X-A: \0b") + SMUGGLED,
    "a bare CR": request(b"X-A: b\rTransfer-Encoding: chunked") + SMUGGLED,
    "a field without colon": request(b"Transfer-Encoding") + SMUGGLED,
    "HTTP/1.0 with chunks": request(CHUNKED, line=b"POST /v2/demo/images HTTP/1.0") + b"0\r\n\r\n",
    "HTTP/9.9": request(line=b"GET /v2/ HTTP/9.9"),
    "a method of odd letters": request(line=b"G\xc3\x8bT /v2/ HTTP/1.1"),
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "blanks in the target": request(line=b"GET /v2/ /v2/ HTTP/1.1"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    # oversized
    "a long line": request(line=b"GET /v2/demo/images?name=" + b"x" * 8190 + b" HTTP/1.1"),
    "a long field": request(b"X-Long: " + b"x" * 16400),
    "many fields": request(*(b"X-%d: y" % n for n in range(101))),
    "a long field name": request(b"X" * 16400 + b": y"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_a_request_of_two_meanings_or_no_bound_is_refused_and_the_last(
    data: bytes, live: Live
) -> None:
    answer = raw(live, data)
    found = statuses(answer)
    assert len(found) <= 1, answer  # what is no HTTP at all gets no answer
    assert all(400 <= status < 600 for status in found), answer
    assert found or data == REFUSED["no HTTP"]
    assert token_of("demo").encode() not in answer
    assert requests.get(f"{live.url}/healthcheck", timeout=10).ok


FORMS = {
    "Fernet": b"gAAAAABm" + b"x-_Y" * 40 + b"==",
    "JWS": b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIi" + b"o" * 80 + b"." + b"s-_" * 28,
    "UUID": b"0123456789abcdef0123456789abcdef",
}
MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    "no colon": lambda token: request(b"X-Auth-Token=" + token),
    "no name": lambda token: request(b": " + token),
    "a blank before the colon": lambda token: request(b"X-Auth-Token " + token + b" : x"),
    "in the name": lambda token: request(b"X-Auth-Token(" + token + b"): x"),
    "in the expectation": lambda token: request(b"Expect: " + token),
    "in the version": lambda token: request(line=b"GET /v2/ HTTP/" + token),
    "instead of the version": lambda token: request(line=b"GET /v2/ " + token),
    "in the method": lambda token: request(line=b"GET" + token + b" /v2/ HTTP/1.1"),
    "in the target": lambda token: request(line=b"GET v2/" + token + b" HTTP/1.1"),
    "in the line": lambda token: request(line=b"X-Auth-Token:" + token),
    "in the coding": lambda token: request(b"Transfer-Encoding: " + token),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", MALFORMED)
def test_a_token_in_a_request_that_cannot_be_read_is_not_repeated(
    where: str, form: str, live: Live
) -> None:
    answer = raw(live, MALFORMED[where](FORMS[form]))
    assert [status >= 400 for status in statuses(answer)] in ([True], [])
    assert FORMS[form] not in answer
    assert FORMS[form].upper() not in answer
    assert FORMS[form].decode() not in live.log.read_text()


def test_what_stands_in_a_body_is_no_request(live: Live) -> None:
    inner = request(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED
    chunk = request(CHUNKED) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    assert [405] == statuses(raw(live, inner))
    assert [405] == statuses(raw(live, chunk))


@pytest.mark.parametrize("size", [114688, 114689, 2**20, 2**24])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_up_to_its_bound_and_no_further(
    size: int, chunked: bool, live: Live
) -> None:
    body = b'{"metadata":{"a":"' + b"x" * (size - 21) + b'"}}'
    answer = requests.post(
        f"{live.url}/v2/demo/images/i1/metadata",
        data=iter([body]) if chunked else body,
        headers={"X-Auth-Token": token_of("demo")},
        timeout=20,
    )
    fault = next(iter(answer.json()))
    expected = (400, "badRequest") if size <= 114688 else (413, "overLimit")
    assert expected == (answer.status_code, fault)


def test_a_thousand_idle_connections_harm_nobody(live: Live) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(900):
            stack.enter_context(connect(live))
        started = time.monotonic()
        for _ in range(5):
            assert requests.get(f"{live.url}/healthcheck", timeout=30).ok
        took = time.monotonic() - started
    assert took < 5, took
