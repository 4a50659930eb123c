"""nova-image-shim: the legacy Nova v2 image API on top of any Glance v2.

`docs/explanation/architecture.md` shows the packages, and the path of a request through them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nova_image_shim.application import create_app as create_app


def __getattr__(name: str) -> Any:
    """Import `create_app` on its first use: pytest imports this package in every run."""
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nova_image_shim.application import create_app  # noqa: PLC0415

    return create_app
