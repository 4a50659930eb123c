"""The bounds of HTTP: how long, how much, how often; over real sockets."""

import datetime
import gzip
import ipaddress
import math
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from keystoneauth1.token_endpoint import Token
from support.fakes import FakeGlance, says, serve, token_of
from support.live import free_port
from support.peers import Step, drips, hears, resets, scripted, sends, waits
from urllib3.util import Timeout

from nova_image_shim.adapters import image_port as port
from nova_image_shim.adapters.glance.service import GlanceImageService, GlanceOptions
from nova_image_shim.adapters.http.transport import AnswerTooLargeError, BoundedTransport

HEAD = b"HTTP/1.1 200 OK\r\nX-Padding: " + b"p" * 600 + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GZIP = b"Content-Encoding: gzip\r\n"


def plain(body: bytes, more: bytes = b"") -> bytes:
    return b"%s%sContent-Length: %d\r\n\r\n%s" % (HEAD, more, len(body), body)


def in_chunks(body: bytes, more: bytes = b"") -> bytes:
    return HEAD + more + CHUNKED + b"\r\n" + chunks(body)


def chunks(body: bytes) -> bytes:
    cut = [body[start : start + 70_000] for start in range(0, len(body), 70_000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in cut) + b"0\r\n\r\n"


def zipped(body: bytes) -> bytes:
    return plain(gzip.compress(body), GZIP)


def zipped_in_chunks(body: bytes) -> bytes:
    return in_chunks(gzip.compress(body), GZIP)


def deflated(body: bytes) -> bytes:
    return plain(zlib.compress(body), b"Content-Encoding: deflate\r\n")


def to_the_end(body: bytes) -> bytes:
    """Return the answer of which only the connection's end tells that it is whole."""
    return b"HTTP/1.0 200 OK\r\n\r\n" + body


class OpenSession(Protocol):
    def __call__(
        self, *, max_bytes: int = ..., total_seconds: float = ..., repeat_get: bool = ...
    ) -> requests.Session: ...


@pytest.fixture
def open_session() -> Iterator[OpenSession]:
    """Return what makes a session over a bounded transport."""
    sessions: list[requests.Session] = []

    def opened(
        *, max_bytes: int = 2**20, total_seconds: float = 10, repeat_get: bool = True
    ) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        transport = BoundedTransport(
            max_bytes=max_bytes, total_seconds=total_seconds, pool_maxsize=4, repeat_get=repeat_get
        )
        session.mount("http://", transport)
        session.mount("https://", transport)
        sessions.append(session)
        return session

    yield opened
    for session in sessions:
        session.close()


def seconds_until_error(
    call: Callable[[], object], error: type[Exception] = requests.RequestException
) -> float:
    """Return how long a call takes to fail."""
    started = time.monotonic()
    with pytest.raises(error):
        call()
    return time.monotonic() - started


# Answers


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 2000], ids=len)
@pytest.mark.parametrize("answer", [plain, in_chunks, zipped, zipped_in_chunks, deflated])
def test_an_answer_is_read_whole_and_its_connection_used_again(
    answer: Callable[[bytes], bytes], body: bytes, open_session: OpenSession
) -> None:
    session = open_session()
    with scripted([hears, sends(answer(body)), hears, sends(answer(b"two"))]) as server:
        contents = [session.get(server.url, timeout=5).content for _ in range(2)]
    assert ([body, b"two"], 1, 2) == (contents, server.connections, len(server.heard))


def test_an_answer_without_a_body_leaves_its_connection_to_the_next(
    open_session: OpenSession,
) -> None:
    session = open_session()
    nothing = b"HTTP/1.1 204 No Content\r\n\r\n"
    with scripted([hears, sends(nothing), hears, sends(plain(b"two"))]) as server:
        deleted = session.delete(server.url, timeout=5)
        assert (204, b"") == (deleted.status_code, deleted.content)
        assert b"two" == session.get(server.url, timeout=5).content
    assert 1 == server.connections


def test_an_answer_in_drops_that_comes_in_time_is_read_whole(open_session: OpenSession) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
    with scripted([hears, drips(answer, 0.001)]) as server:
        assert b"yes" == open_session().get(server.url, timeout=5).content


# How long

DRIPS: dict[str, list[Step]] = {
    "status line": [hears, drips(HEAD)],
    "headers": [hears, sends(HEAD), drips(b"X-More: " + b"m" * 600)],
    "body": [hears, sends(HEAD + b"Content-Length: 600\r\n\r\n"), drips(b"b" * 600)],
    "body to the end": [hears, sends(HEAD + b"\r\n"), drips(b"b" * 600)],
    "zipped body": [hears, sends(HEAD + GZIP + b"\r\n"), drips(gzip.compress(bytes(2**20)))],
    "chunks": [hears, sends(HEAD + CHUNKED + b"\r\n"), drips(b"1\r\nc\r\n" * 100)],
    "chunk size": [hears, sends(HEAD + CHUNKED + b"\r\n"), drips(b"0" * 600)],
    "trailers": [hears, sends(HEAD + CHUNKED + b"\r\n0\r\n"), drips(b"X-More: " + b"m" * 600)],
    "interim answers": [hears, drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 24)],
}


@pytest.mark.live
@pytest.mark.parametrize("part", ["status line", "body"])
@pytest.mark.parametrize(("own", "transports"), [(0.2, 30), (30, 0.2), (0.2, math.inf)])
def test_the_smaller_of_a_calls_own_total_and_the_transports_counts(
    own: float, transports: float, part: str, open_session: OpenSession
) -> None:
    session = open_session(total_seconds=transports)
    timeout: Any = Timeout(connect=5, read=5, total=own)
    with scripted(DRIPS[part]) as server:
        seconds = seconds_until_error(lambda: session.get(server.url, timeout=timeout))
    assert 0.15 < seconds < 1.2


SILENCES: dict[str, list[Step]] = {
    "before the answer": [hears, waits()],
    "in the headers": [hears, sends(HEAD), waits()],
    "in the body": [hears, sends(HEAD + b"Content-Length: 9\r\n\r\nhalf"), waits()],
    "in a chunk": [hears, sends(HEAD + CHUNKED + b"\r\n9\r\nhalf"), waits()],
}


@pytest.mark.live
@pytest.mark.parametrize(
    ("script", "total_seconds", "read_seconds"),
    [(script, 0.2, 5) for script in DRIPS.values()]
    + [(script, 10, 0.2) for script in SILENCES.values()],
    ids=[*(f"drops: {part}" for part in DRIPS), *(f"silence {part}" for part in SILENCES)],
)
def test_an_answer_in_drops_or_silence_ends_at_its_bound_and_is_not_asked_again(
    script: list[Step], total_seconds: float, read_seconds: float, open_session: OpenSession
) -> None:
    session = open_session(total_seconds=total_seconds)
    with scripted(script, [hears, sends(plain(b"again"))]) as server:
        seconds = seconds_until_error(lambda: session.get(server.url, timeout=(5, read_seconds)))
    assert 0.15 < seconds < 1.2
    assert 1 == server.connections


@pytest.mark.live
def test_without_any_timeout_the_total_bound_holds(open_session: OpenSession) -> None:
    session = open_session(total_seconds=0.3)
    with scripted([hears, waits()]) as server:
        assert seconds_until_error(lambda: session.get(server.url)) < 1.2


@pytest.mark.live
def test_each_exchange_has_its_own_time(open_session: OpenSession) -> None:
    session = open_session(total_seconds=0.4)
    answer: list[Step] = [hears, waits(0.25), sends(plain(b"x"))]
    with scripted([hears, waits()], answer * 3) as server:
        seconds_until_error(lambda: session.get(server.url, timeout=5))
        assert [b"x"] * 3 == [session.get(server.url, timeout=5).content for _ in range(3)]
    assert 2 == server.connections


@pytest.mark.live
def test_one_threads_exchange_does_not_end_anothers(open_session: OpenSession) -> None:
    session = open_session(total_seconds=math.inf)
    slow: Any = Timeout(total=10)
    quick: Any = Timeout(total=0.1)
    contents: list[bytes] = []
    with (
        scripted([hears, waits(0.6), sends(plain(b"slow"))]) as patient,
        scripted([hears, waits()]) as silent,
    ):
        thread = threading.Thread(
            target=lambda: contents.append(session.get(patient.url, timeout=slow).content)
        )
        thread.start()
        seconds_until_error(lambda: session.get(silent.url, timeout=quick))
        thread.join(10)
    assert [b"slow"] == contents


# How much

MAX_BYTES = 100_000


@pytest.mark.parametrize(
    "answer", [plain, in_chunks, zipped, zipped_in_chunks, deflated, to_the_end]
)
@pytest.mark.parametrize("spare", [0, -1])
def test_an_answer_holds_at_most_the_bytes_allowed(
    answer: Callable[[bytes], bytes], spare: int, open_session: OpenSession
) -> None:
    session = open_session(max_bytes=MAX_BYTES)
    body = b"y" * (MAX_BYTES - spare)
    script: list[Step] = [hears, sends(answer(body))]
    with scripted(script, [hears, sends(plain(b"next"))]) as server:
        if spare < 0:
            with pytest.raises(AnswerTooLargeError, match=r"^the answer is over 100000 bytes$"):
                session.get(server.url, timeout=5)
            assert b"next" == session.get(server.url, timeout=5).content
        else:
            assert body == session.get(server.url, timeout=5).content


ENDLESS: dict[str, bytes] = {
    "plain": HEAD + b"Content-Length: 999999999999\r\n\r\n" + b"z" * 2 * MAX_BYTES,
    "one chunk": HEAD + CHUNKED + b"\r\nfffffffff\r\n" + b"z" * 2 * MAX_BYTES,
    "to the end": HEAD + b"\r\n" + b"z" * 2 * MAX_BYTES,
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    answer: bytes, open_session: OpenSession
) -> None:
    session = open_session(max_bytes=MAX_BYTES)
    with scripted([hears, sends(answer), waits()], [hears, sends(plain(b"next"))]) as server:

        def ask() -> bytes:
            return session.get(server.url, timeout=5).content

        assert seconds_until_error(ask, AnswerTooLargeError) < 2
        assert b"next" == ask()
    assert 2 == server.connections


@pytest.mark.parametrize("answer", [zipped, zipped_in_chunks, deflated])
def test_a_small_answer_that_unpacks_to_a_large_one_costs_no_memory(
    answer: Callable[[bytes], bytes], open_session: OpenSession
) -> None:
    session = open_session(max_bytes=2**20)
    bomb = answer(bytes(2**26))
    assert len(bomb) < 2**18
    with scripted([hears, sends(bomb)]) as server:
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLargeError):
                session.get(server.url, timeout=5)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2**23


# Whole or not at all

CUTS: dict[str, list[Step]] = {
    "before the body": [hears, sends(HEAD + b"Content-Length: 9\r\n\r\n")],
    "in the body": [hears, sends(HEAD + b"Content-Length: 9\r\n\r\nhalf")],
    "in the zipped body": [hears, sends(zipped(b"z" * 99)[:-5])],
    "before the chunks": [hears, sends(HEAD + CHUNKED + b"\r\n")],
    "in a chunk": [hears, sends(HEAD + CHUNKED + b"\r\n9\r\nhalf")],
    "after a chunk": [hears, sends(HEAD + CHUNKED + b"\r\n4\r\nhalf\r\n")],
    "in a chunk's size": [hears, sends(HEAD + CHUNKED + b"\r\n4\r\nhalf\r\nzz\r\n")],
    "by a reset": [hears, sends(HEAD + b"Content-Length: 9\r\n\r\nhalf"), waits(0.1), resets],
    "by no gzip": [hears, sends(HEAD + GZIP + b"Content-Length: 7\r\n\r\nno gzip")],
}


# How often

UNANSWERED: dict[str, list[Step]] = {
    "closed before the request": [],
    "reset before the request": [resets],
    "closed after the request": [hears],
    "reset after the request": [hears, resets],
}
ATTEMPTS = pytest.mark.parametrize(
    ("method", "repeat_get", "connections"),
    [
        ("GET", True, 2),
        ("GET", False, 1),
        *((name, True, 1) for name in "POST PUT PATCH DELETE HEAD OPTIONS".split()),
    ],
)


@pytest.mark.parametrize("script", UNANSWERED.values(), ids=UNANSWERED)
def test_a_get_without_a_byte_of_an_answer_is_sent_once_more(
    script: list[Step], open_session: OpenSession
) -> None:
    session = open_session()
    with scripted(script, [hears, sends(plain(b"again"))]) as server:
        assert b"again" == session.get(server.url, timeout=5).content
    assert 2 == server.connections


@pytest.mark.parametrize("script", UNANSWERED.values(), ids=UNANSWERED)
@ATTEMPTS
def test_a_get_is_sent_twice_at_most_and_nothing_else_more_than_once(
    method: str,
    repeat_get: bool,
    connections: int,
    script: list[Step],
    open_session: OpenSession,
) -> None:
    session = open_session(repeat_get=repeat_get)
    with scripted(*[script] * connections, [hears, sends(plain(b"again"))]) as server:
        with pytest.raises(requests.ConnectionError):
            session.request(method, server.url, timeout=5)
        assert connections == server.connections


def test_a_get_on_a_kept_connection_that_is_closed_just_then_is_sent_once_more(
    open_session: OpenSession,
) -> None:
    session = open_session()
    with scripted(
        [hears, sends(plain(b"one")), hears],
        [hears, sends(plain(b"two"))],
    ) as server:
        contents = [session.get(server.url, timeout=5).content for _ in range(2)]
    assert ([b"one", b"two"], 2, 3) == (contents, server.connections, len(server.heard))


ANSWERED: dict[str, list[Step]] = {
    "closed after a byte": [hears, sends(b"H")],
    "reset after a byte": [hears, sends(b"H"), waits(0.2), resets],
    "closed after an interim answer": [hears, sends(b"HTTP/1.1 100 Continue\r\n\r\n")],
    "no HTTP": [hears, sends(b"SSH-2.0-OpenSSH_9.6\r\n")],
    "a header that is too long": [hears, sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000)],
}


@pytest.mark.parametrize("script", [*CUTS.values(), *ANSWERED.values()], ids=[*CUTS, *ANSWERED])
def test_an_answer_that_is_cut_or_no_http_is_an_error_and_is_not_asked_again(
    script: list[Step], open_session: OpenSession
) -> None:
    session = open_session()
    with scripted(script, [hears, sends(plain(b"again"))]) as server:
        with pytest.raises(requests.RequestException):
            session.get(server.url, timeout=5)
        assert 1 == server.connections


@pytest.mark.parametrize("status", [b"500 Oh", b"502 Oh", b"503 Oh", b"429 Oh", b"401 Oh"])
def test_an_error_is_an_answer(status: bytes, open_session: OpenSession) -> None:
    session = open_session()
    with scripted(
        [hears, sends(b"HTTP/1.1 %s\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n" % status)]
    ) as server:
        answer = session.get(server.url, timeout=5)
    assert (int(status[:3]), 1) == (answer.status_code, server.connections)


@ATTEMPTS
def test_a_refused_get_is_sent_once_more(
    method: str,
    repeat_get: bool,
    connections: int,
    open_session: OpenSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "urllib3.connectionpool")
    session = open_session(repeat_get=repeat_get)
    with pytest.raises(requests.ConnectionError):
        session.request(method, f"http://127.0.0.1:{free_port()}", timeout=5)
    begun = [text for text in caplog.messages if text.startswith("Starting new HTTP connection")]
    assert connections == len(begun)


@pytest.mark.live
def test_both_of_two_exchanges_have_one_time(open_session: OpenSession) -> None:
    session = open_session(total_seconds=0.5)
    with scripted([hears, waits(0.3)], [hears, waits()]) as server:
        assert 0.4 < seconds_until_error(lambda: session.get(server.url, timeout=5)) < 0.75
    assert 2 == server.connections


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    plain_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(plain_key + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.live
def test_bounds_hold_over_tls(
    tls: ssl.SSLContext, certificate: Path, open_session: OpenSession
) -> None:
    session = open_session(total_seconds=0.5, max_bytes=MAX_BYTES)
    scripts: list[list[Step]] = [
        [hears, sends(plain(b"one")), hears, sends(plain(b"two")), *DRIPS["headers"]],
        DRIPS["body"],
        [hears, sends(ENDLESS["plain"])],
        [hears],
        [hears, sends(in_chunks(b"again"))],
    ]
    with scripted(*scripts, tls=tls) as server:

        def ask() -> bytes:
            return session.get(server.url, timeout=5, verify=str(certificate)).content

        assert [b"one", b"two"] == [ask(), ask()]
        assert 0.4 < seconds_until_error(ask) < 1.2
        assert 0.4 < seconds_until_error(ask) < 1.2
        assert seconds_until_error(ask, AnswerTooLargeError) < 1.2
        assert b"again" == ask()
    assert 5 == server.connections


def test_a_get_is_not_sent_again_where_tls_fails(
    tls: ssl.SSLContext, open_session: OpenSession
) -> None:
    session = open_session()
    with scripted([hears], [hears], tls=tls) as server:
        with pytest.raises(requests.exceptions.SSLError):
            session.get(server.url, timeout=5)
        assert 1 == server.connections


# As the Glance adapter uses it

IMAGE_ID = "70a599e0-31e7-49b7-b260-868f441e862b"


def list_page(service: port.ImageService, context: port.Context) -> object:
    return service.list_page(context, {}, limit=2)


def get(service: port.ImageService, context: port.Context) -> object:
    return service.get(context, IMAGE_ID)


def update(service: port.ImageService, context: port.Context) -> object:
    return service.update(context, IMAGE_ID, port.Changes({"a": "1"}))


def delete(service: port.ImageService, context: port.Context) -> None:
    service.delete(context, IMAGE_ID)


def over(url: str, **more: Any) -> tuple[GlanceImageService, port.Context]:
    """Return a service over the Glance of this address, and the context of a request."""
    context = port.Context("demo", "req-x", auth=Token(url, token_of("demo")), **more)
    return GlanceImageService(GlanceOptions(endpoint=url)), context


@pytest.mark.parametrize("call", [list_page, get, update, delete])
@pytest.mark.parametrize("status", [301, 302, 303, 305, 307, 308])
def test_a_redirect_of_glance_is_not_followed(status: int, call: Any) -> None:
    here, there = FakeGlance(), FakeGlance()
    with serve(here) as here.url, serve(there) as there.url:
        here.answers[:] = [says(status, b"", Location=f"{there.url}/v2/images")] * 3
        with pytest.raises(port.ImageServiceFailed):
            call(*over(here.url))
    assert (1, []) == (len(here.seen), there.seen)


@pytest.mark.parametrize(
    ("call", "connections"), [(list_page, 2), (get, 2), (update, 1), (delete, 1)]
)
def test_glance_is_asked_again_only_for_what_changes_nothing(call: Any, connections: int) -> None:
    with scripted([hears], [hears]) as server:
        service, context = over(server.url)
        with pytest.raises(port.ImageServiceUnavailable):
            call(service, context)
        assert connections == server.connections
    assert [0] == [made.status for made in context.calls]


@pytest.mark.live
@pytest.mark.parametrize("call", [list_page, get, update, delete])
def test_glance_is_waited_for_no_longer_than_the_request_has_time(call: Any) -> None:
    with scripted(DRIPS["headers"]) as server:
        service, context = over(server.url, deadline=time.monotonic() + 0.2)
        seconds = seconds_until_error(lambda: call(service, context), port.ImageServiceUnavailable)
    assert 0.15 < seconds < 1.2


@pytest.mark.parametrize("call", [list_page, get, update, delete])
def test_glance_is_not_asked_when_no_time_is_left(call: Any) -> None:
    with scripted() as server:
        service, context = over(server.url, deadline=time.monotonic() - 1)
        with pytest.raises(port.ImageServiceUnavailable, match=r"^no time is left to call Glance$"):
            call(service, context)
    assert (0, []) == (server.connections, context.calls)
