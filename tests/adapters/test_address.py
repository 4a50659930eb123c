"""Addresses: without their version, and as host and port."""

import pytest

from nova_image_shim.adapters.address import (
    Address,
    Server,
    UnixSocket,
    memcached_server,
    without_version,
)


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("http://glance", "http://glance"),
        ("http://glance:9292/", "http://glance:9292"),
        ("http://glance:9292/v2", "http://glance:9292"),
        ("http://glance:9292/v1", "http://glance:9292"),
        ("http://glance:9292/v1.1", "http://glance:9292"),
        ("http://glance:9292/v2.0/", "http://glance:9292"),
        ("http://glance:9292/v2.9/", "http://glance:9292"),
        ("http://glance:9292/v21.17", "http://glance:9292"),
        ("http://glance/image//v2//", "http://glance/image"),
        ("http://glance/v2/image", "http://glance/v2/image"),
        ("http://glance/v2beta", "http://glance/v2beta"),
    ],
)
def test_a_version_at_the_end_is_removed(url: str, bare: str) -> None:
    assert bare == without_version(url)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("cache_1.example:11211", Address("cache_1.example", 11211)),
        ("[::1]:65535", Address("::1", 65535)),
        ("[2001:db8:0:0::1]:80", Address("2001:db8:0:0::1", 80)),
    ],
)
def test_an_address_and_its_text_are_the_same(text: str, address: Address) -> None:
    assert (address, text) == (Address.parse(text), str(address))


@pytest.mark.parametrize(
    "text", ["", "host", ":80", "host:", "::1:80", "[::1]", "[host]:80", "h:080", "h:65536", "h:٨"]
)
def test_another_form_is_not_an_address(text: str) -> None:
    with pytest.raises(ValueError, match=r" is not host:port or \[IPv6\]:port$"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("cache", Address("cache", 11211)),
        ("10.0.0.1", Address("10.0.0.1", 11211)),
        ("cache_1.example:80", Address("cache_1.example", 80)),
        ("[::1]", Address("::1", 11211)),
        ("[fd00::1]:80", Address("fd00::1", 80)),
        ("inet:cache", Address("cache", 11211)),
        ("inet:10.0.0.1:80", Address("10.0.0.1", 80)),
        (
            "inet:[memcached-0.memcached.openstack.svc]:11211",
            Address("memcached-0.memcached.openstack.svc", 11211),
        ),
        ("inet:[10.0.0.1]", Address("10.0.0.1", 11211)),
        ("inet6:[::1]:80", Address("::1", 80)),
        ("inet6:[::1]", Address("::1", 11211)),
        ("inet6:[cache.example]:80", Address("cache.example", 80)),
        ("unix:/run/memcached/memcached.sock", UnixSocket("/run/memcached/memcached.sock")),
    ],
)
def test_a_memcached_server_is_read_in_every_form_of_auth_token(text: str, server: Server) -> None:
    assert server == memcached_server(text)
