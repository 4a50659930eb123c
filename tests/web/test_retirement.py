"""What answers say of the end of the API."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.settings import Settings

NAMES = ("Deprecation", "Sunset", "Link")
SINCE = {"SHIM_DEPRECATION": "2026-06-30T23:59:59Z"}
SUNSET = {"SHIM_SUNSET": "2027-01-31"}
LINK = {"SHIM_DEPRECATION_LINK": "https://docs.example/images"}


def told(environ: dict[str, str], path: str, token: str = "demo") -> list[str | None]:
    """Return the three headers of an answer."""
    settings = Settings.from_environ({"SHIM_BACKEND": "memory"} | environ)
    app = create_app(settings, MemoryImageService(), accept_any_token)
    answer = app.test_client().get(path, headers={"X-Auth-Token": token})
    return [answer.headers.get(name) for name in NAMES]


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        ({}, [None, None, None]),
        (SINCE, ["@1782863999", None, None]),
        (SUNSET, [None, "Sun, 31 Jan 2027 00:00:00 GMT", None]),
        (
            SINCE | LINK,
            [
                "@1782863999",
                None,
                '<https://docs.example/images>; rel="deprecation"; type="text/html"',
            ],
        ),
        (
            SINCE | SUNSET | LINK,
            [
                "@1782863999",
                "Sun, 31 Jan 2027 00:00:00 GMT",
                '<https://docs.example/images>; rel="deprecation sunset"; type="text/html"',
            ],
        ),
    ],
)
def test_an_answer_tells_of_the_end(environ: dict[str, str], headers: list[str | None]) -> None:
    assert headers == told(environ, "/v2/demo/images")


def test_the_sunset_is_an_http_date() -> None:
    (_, sunset, _) = told(SUNSET, "/v2/demo/images")
    assert 1801353600 == parsedate_to_datetime(sunset or "").timestamp()


@pytest.mark.parametrize(
    "path", ["/v2", "/v2.1/", "/v1.1/demo/images/no-such", "/v2/demo/flavors", "/v2/x/y/z"]
)
def test_every_answer_of_a_mount_tells_even_a_fault(path: str) -> None:
    assert ["@1782863999", None, None] == told(SINCE, path)


def test_a_refusal_of_a_token_tells_too() -> None:
    assert ["@1782863999", None, None] == told(SINCE, "/v2/demo/images", token="")


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/healthcheck/ready", "/v3/images"])
def test_what_is_not_the_api_tells_nothing(path: str) -> None:
    assert [None, None, None] == told(SINCE | SUNSET | LINK, path)
