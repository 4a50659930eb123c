"""nova-image-shim: the legacy Nova v2 image API on top of any Glance v2.

A request's way: `paths` puts its path right, `create_app`'s first steps say who asks, a
blueprint (`images`, `image_metadata`, `versions`) checks it (`schemas`) and asks the image store
(`adapters.port`), `translator` turns what comes back, `responses` and `errors` say it.

`wsgi` puts it together over a real cloud, or over the embedded one of `fakecloud`, which adds an
identity, an image API and a control plane beside the legacy calls; `cli` and `gunicorn.conf.py`
run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nova_image_shim.application import create_app as create_app


def __getattr__(name: str) -> Any:
    """Bring `create_app` along only when it is asked for.

    pytest imports this package in every run, for its plugin, and should not have to wait for Flask
    where no test wants a cloud.
    """
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nova_image_shim.application import create_app  # noqa: PLC0415

    return create_app
