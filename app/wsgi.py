"""The WSGI entry point: from the environment to settings and to the application over a backend.

gunicorn's master reads everything that a start needs once, and its workers inherit it: a file that
is missing or wrong later cannot keep a worker from starting.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask

from nova_image_shim.observability.metrics_files import reserve_files
from nova_image_shim.settings import Settings, SettingsError

if TYPE_CHECKING:
    from nova_image_shim.fakecloud.seed import Seed
    from nova_image_shim.observability.metrics import Metrics

# A real cloud's process imports nothing of the embedded one, and the other way round.


class Start(NamedTuple):
    """What the service starts with; the embedded cloud has a seed, too."""

    settings: Settings
    seed: "Seed | None"


_present: list[Start] = []  # the last one that could be read


def read_start(environ: Mapping[str, str]) -> Start:
    """Read an environment and the files that it names, and keep the result for the workers.

    Raises:
        SystemExit: the service cannot start; the text names everything that is wrong. What was
            read before stays.
    """
    try:
        settings = Settings.from_environ(environ)
        if settings.serves_docs:
            import nova_image_shim.api_docs  # noqa: F401, PLC0415 - needs the extra `fake`
    except (SettingsError, ModuleNotFoundError) as error:
        raise refusal(error) from error
    seed = _read_seed(settings) if settings.backend == "memory" else None
    _present[:] = [Start(settings, seed)]
    return _present[0]


def present_start() -> Start:
    """Return what was read last; read the process's environment if nothing was.

    Raises:
        SystemExit: see `read_start`.
    """
    return _present[0] if _present else read_start(os.environ)


def application() -> Flask:
    """Return the WSGI application over the backend of the settings."""
    settings, seed = present_start()
    if seed:
        from nova_image_shim.fakecloud import create_seeded_app  # noqa: PLC0415

        return create_seeded_app(settings, seed, _metrics(settings))
    from nova_image_shim.realcloud import create_glance_app  # noqa: PLC0415

    return create_glance_app(settings, _metrics(settings))


def _metrics(settings: Settings) -> "Metrics | None":
    if not (settings.metrics_bind and reserve_files()):
        return None
    from nova_image_shim.observability.metrics import Metrics  # noqa: PLC0415 - has an effect

    return Metrics(threads=settings.pool_size, backend=settings.backend)


def _read_seed(settings: Settings) -> "Seed":
    from nova_image_shim.fakecloud.document import ImageFileError  # noqa: PLC0415
    from nova_image_shim.fakecloud.seed import load_seed  # noqa: PLC0415

    try:
        return load_seed(settings.memory_images)
    except ImageFileError as error:
        raise refusal(error) from error


def refusal(problem: object) -> SystemExit:
    """Return the exit of a service that cannot start, with the text that says why."""
    text = str(problem)
    separator = "\n" if "\n" in text else " "
    return SystemExit(f"nova-image-shim cannot start:{separator}{text}")
