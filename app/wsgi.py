"""The WSGI entry point: from the environment to settings and to the application over a backend."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask

from nova_image_shim.observability.metrics_files import reserve_files
from nova_image_shim.settings import Settings, SettingsError

if TYPE_CHECKING:
    from nova_image_shim.observability.metrics import Metrics

# A real cloud's process imports nothing of the embedded one, and the other way round.


def load_settings_or_exit(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment, if the service can start with them.

    Raises:
        SystemExit: it cannot; the text names everything that is wrong.
    """
    try:
        settings = Settings.from_environ(environ)
        if settings.serves_docs:
            import nova_image_shim.api_docs  # noqa: F401, PLC0415 - needs the extra `fake`
    except (SettingsError, ModuleNotFoundError) as error:
        raise refusal(error) from error
    if settings.backend == "memory":
        _require_seed(settings)
    return settings


def application() -> Flask:
    """Return the WSGI application that the process's environment describes."""
    settings = load_settings_or_exit(os.environ)
    if settings.backend == "memory":
        from nova_image_shim.fakecloud import create_seeded_app  # noqa: PLC0415

        return create_seeded_app(settings, _metrics(settings))
    from nova_image_shim.realcloud import create_glance_app  # noqa: PLC0415

    return create_glance_app(settings, _metrics(settings))


def _metrics(settings: Settings) -> "Metrics | None":
    if not (settings.metrics_bind and reserve_files()):
        return None
    from nova_image_shim.observability.metrics import Metrics  # noqa: PLC0415 - has an effect

    return Metrics(threads=settings.pool_size, backend=settings.backend)


def _require_seed(settings: Settings) -> None:
    from nova_image_shim.fakecloud.items import ImageFileError  # noqa: PLC0415
    from nova_image_shim.fakecloud.seed import load_seed  # noqa: PLC0415

    try:
        load_seed(settings.memory_images)
    except ImageFileError as error:
        raise refusal(error) from error


def refusal(problem: object) -> SystemExit:
    """Return the exit of a service that cannot start, with the text that says why."""
    return SystemExit(f"nova-image-shim cannot start:\n{problem}")
