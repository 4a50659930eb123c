"""What a trusted proxy's headers change, and that nothing in them can fail a request."""

from typing import Any

import pytest
from werkzeug.test import create_environ

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.settings import Settings
from nova_image_shim.web.proxies import TrustedProxies

NOTHING = ("http", "shim:8774", "", "10.0.0.1")
NODE = "192.0.2.7"


def seen_by_the_application(headers: dict[str, str], hops: int = 1) -> tuple[str, ...]:
    """Return the scheme, host, prefix and client that the application sees."""
    seen: list[str] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        names = ("wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "REMOTE_ADDR")
        seen.extend(environ[name] for name in names)
        return []

    environ = create_environ(
        base_url="http://shim:8774", environ_base={"REMOTE_ADDR": "10.0.0.1"}, headers=headers
    )
    TrustedProxies(app, hops)(environ, lambda *_: lambda _: None)
    return tuple(seen)


def changed(index: int, value: str) -> tuple[str, ...]:
    return (*NOTHING[:index], value, *NOTHING[index + 1 :])


PROTO, HOST, PREFIX, FOR = (f"X-Forwarded-{name}" for name in ("Proto", "Host", "Prefix", "For"))


IGNORED = {
    PROTO: (
        *("http", "HTTP", "https,http", "https, ", "", " ", ",", "on", "1", "ftp", "ws", "wss"),
        *("gopher", "http\u017f", "https:", "https://x", '"https"', "http s"),
    ),
    HOST: ("", " ", "a.example,"),
    PREFIX: (
        *("@evil.example", "evil", "", ":80", ".evil.example", "//evil.example", "/a//b", "/"),
        *("/\\evil", "\\a", "/a b", "/a?b", "/a#b", '/a"b', "/<a>", "/é", "/a'b", "/a,"),
        *("http://evil.example/", "/" + "a" * 255),
    ),
    FOR: (
        *("unknown", "_hidden", "a.example", "", "1.2.3", "[", "999.1.1.1", ":::", "%"),
        '1.2.3.4 "GET / HTTP/1.1"',
    ),
    "X-Forwarded-Port": ("444", "x", "-1", "99999999", ""),
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *((PROTO, text, changed(0, "https")) for text in ("https", "HTTPS", "Https", " https ")),
        *((PROTO, text, changed(0, "https")) for text in ("http, https", "on,https", ",https")),
        (HOST, "a.example", changed(1, "a.example")),
        (HOST, "evil, a.example:444", changed(1, "a.example:444")),
        (HOST, "[2001:db8::1]:1", changed(1, "[2001:db8::1]:1")),
        *((PREFIX, text, changed(2, text)) for text in ("/a", "/a/", "/a/b-c_d.e~f/g", "/a%20b")),
        (PREFIX, "/evil, /a", changed(2, "/a")),
        (PREFIX, "/" + "a" * 254, changed(2, "/" + "a" * 254)),
        (FOR, NODE, changed(3, NODE)),
        (FOR, f"203.0.113.9, {NODE}", changed(3, NODE)),
        (FOR, f'"203.0.113.9, {NODE}', changed(3, NODE)),  # an unclosed quotation mark
        (FOR, f"{NODE}:4711", changed(3, NODE)),
        (FOR, "2001:DB8::1", changed(3, "2001:db8::1")),
        (FOR, "[2001:db8::1]", changed(3, "2001:db8::1")),
        (FOR, "[2001:db8::1]:4711", changed(3, "2001:db8::1")),
        (FOR, 'fe80::1%x" y', changed(3, "fe80::1")),
        *((name, text, NOTHING) for name, texts in IGNORED.items() for text in texts),
    ],
)
def test_only_a_value_of_the_right_kind_counts(
    name: str, value: str, expected: tuple[str, ...]
) -> None:
    assert expected == seen_by_the_application({name: value})


ALL = ("https", "a.example", "", NODE)


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (f"for={NODE};host=a.example;proto=https", ALL),
        (f'For="{NODE}:1" ; HOST="a.example"; Proto=HTTPS;', ALL),
        (f"for=203.0.113.9;host=evil, for={NODE};proto=https;host=a.example;by=_x", ALL),
        (f", for={NODE},,", changed(3, NODE)),
        ('for="[2001:db8::1]:4711"', changed(3, "2001:db8::1")),
        ("for=[2001:db8::1]:4711", changed(3, "2001:db8::1")),
        ("host=a.example:444", changed(1, "a.example:444")),
        ("proto=wss;for=unknown", NOTHING),
        ("for=_hidden;by=203.0.113.43;secret=x", NOTHING),
        *((text, NOTHING) for text in ("", ",", ";", "for", "for=", 'for="', "for=a b", "x=y")),
        # A client's beginning of a quoted string hides nothing that a proxy adds.
        (f'host=evil;for=", for={NODE};proto=https', NOTHING),
        ('host=evil;for=", for="[::1]:1";proto=https', NOTHING),
        (f'host=evil;for="\\", for="{NODE}";proto=https', NOTHING),
    ],
)
def test_forwarded_counts_where_no_x_forwarded_is_present(
    forwarded: str, expected: tuple[str, ...]
) -> None:
    assert expected == seen_by_the_application({"Forwarded": forwarded})
    for name in (PROTO, "X-Forwarded-Server"):
        assert NOTHING == seen_by_the_application({"Forwarded": forwarded, name: "x"})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({FOR: f"203.0.113.9, {NODE}, 10.0.0.2", PROTO: "https, http"}, ("https", NODE)),
        ({FOR: NODE, PROTO: "https"}, ("http", "10.0.0.1")),
        ({"Forwarded": f"for=203.0.113.9, for={NODE};proto=https, for=10.0.0.2"}, ("https", NODE)),
        ({"Forwarded": f"for={NODE};proto=https"}, ("http", "10.0.0.1")),
    ],
)
def test_of_two_proxies_the_outer_one_knows_the_client(
    headers: dict[str, str], expected: tuple[str, str]
) -> None:
    seen = seen_by_the_application(headers, hops=2)
    assert expected == (seen[0], seen[3])


ODD = (
    *("", " ", ",", "on", "wss", "ftp", "HTTPS", "@evil.example", "//evil", "a b", '"', "\\", "é"),
    *("[", "]", "[::1", "::1", "a:b:c", ":", "-1", "0", "99999", "%", "%00", "<x>", "x" * 8000),
    *("for", "for=;;=,", 'host="a', "proto=wss;host=/;for=x"),
)
PATHS = ("/", "/v2/", "/v2.1", "/healthcheck", "/v2/demo/images/detail", "/v2/demo/images/x", "/x")


@pytest.mark.parametrize("name", [PROTO, HOST, PREFIX, FOR, "X-Forwarded-Port", "Forwarded"])
def test_no_content_fails_a_request_or_leads_elsewhere(name: str) -> None:
    images = MemoryImageService([complete({"id": "i1", "owner": "demo"})])
    app = create_app(Settings(backend="memory", trusted_proxies=1), images, accept_any_token)
    for value in ODD:
        for path in PATHS:
            headers = {"X-Auth-Token": "demo", name: value}
            answer = app.test_client().get(path, headers=headers)
            assert answer.status_code in {200, 400, 404}, (path, value)
            assert "evil" not in answer.text, (path, value)
            unroutable = len(value) > 255  # for Flask, too
            assert path != "/healthcheck" or unroutable or 200 == answer.status_code, value
