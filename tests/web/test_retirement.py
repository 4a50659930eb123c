"""The response headers that announce the end of the API."""

import pytest

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.settings import Settings

NAMES = ("Deprecation", "Sunset", "Link")
SINCE = {"SHIM_DEPRECATION": "2026-06-30T23:59:59Z"}
SUNSET = {"SHIM_SUNSET": "2027-01-31"}
LINK = {"SHIM_DEPRECATION_LINK": "https://docs.example/images"}
DEPRECATED, ENDS = "@1782863999", "Sun, 31 Jan 2027 00:00:00 GMT"
URL = "<https://docs.example/images>"
IMAGES = "/v2/demo/images"


@pytest.mark.parametrize(
    ("environ", "path", "expected"),
    [
        ({}, IMAGES, [None, None, None]),
        (SUNSET, IMAGES, [None, ENDS, None]),
        (SINCE | LINK, IMAGES, [DEPRECATED, None, f'{URL}; rel="deprecation"; type="text/html"']),
        (
            SINCE | SUNSET | LINK,
            IMAGES,
            [DEPRECATED, ENDS, f'{URL}; rel="deprecation sunset"; type="text/html"'],
        ),
        # Every response below a version, faults included.
        (SINCE, IMAGES, [DEPRECATED, None, None]),
        (SINCE, "/v2", [DEPRECATED, None, None]),
        (SINCE, "/v2.1/", [DEPRECATED, None, None]),
        (SINCE, "/v1.1/demo/images/no-such", [DEPRECATED, None, None]),
        (SINCE, "/v2/demo/flavors", [DEPRECATED, None, None]),
        (SINCE, "/v2/x/y/z", [DEPRECATED, None, None]),
        # Other paths are not part of the API.
        (SINCE | SUNSET | LINK, "/", [None, None, None]),
        (SINCE | SUNSET | LINK, "/healthcheck", [None, None, None]),
        (SINCE | SUNSET | LINK, "/healthcheck/ready", [None, None, None]),
        (SINCE | SUNSET | LINK, "/v3/images", [None, None, None]),
    ],
)
@pytest.mark.parametrize("token", ["demo", ""])
def test_the_end_is_announced(
    environ: dict[str, str], path: str, expected: list[str | None], token: str
) -> None:
    settings = Settings.from_environ({"SHIM_BACKEND": "memory"} | environ)
    app = create_app(settings, MemoryImageService(), accept_any_token)
    response = app.test_client().get(path, headers={"X-Auth-Token": token})
    assert expected == [response.headers.get(name) for name in NAMES]
