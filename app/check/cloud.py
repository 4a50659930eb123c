"""Run the service's own code against the backend of the settings, step by step."""

import codecs
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nova_image_shim import realcloud
from nova_image_shim.adapters.address import without_version
from nova_image_shim.adapters.keystone.login import load_plugin, log_in
from nova_image_shim.check.catalog import endpoint_of
from nova_image_shim.check.clock import clock_findings
from nova_image_shim.check.failures import public_address, reason_of
from nova_image_shim.check.findings import CheckFailed, Finding, Level, ok
from nova_image_shim.check.glance import link_findings, list_step
from nova_image_shim.check.identity_v2 import identity_v2_findings
from nova_image_shim.check.keystone import (
    login_step,
    require_validating_role,
    validate,
    validation_step,
)
from nova_image_shim.check.wire import Wire
from nova_image_shim.settings import Settings

_MAX_TOKEN_BYTES = 2**16


def backend_findings(settings: Settings, token_file: Path | None) -> Iterator[Finding]:
    """Yield the findings up to the first error; a token file has a client's token."""
    wire = Wire(settings.secrets)
    try:
        _build(settings)
        if settings.backend == "memory":
            yield ok("The embedded cloud needs nothing else (SHIM_BACKEND=memory).")
        else:
            yield from _cloud_findings(settings, wire, token_file)
    except CheckFailed as failure:
        yield Finding(Level.ERROR, *failure.args)
    except Exception as error:  # noqa: BLE001 - no answer of a server may end in a traceback
        yield wire.failure(error)


def _build(settings: Settings) -> None:
    """Build the application as the service does when it starts; nothing is connected.

    Raises:
        CheckFailed: the service could not start, such as with this seed file.
    """
    try:
        if settings.backend == "memory":
            _build_embedded(settings)
        else:
            realcloud.create_glance_app(settings)
    except Exception as error:
        raise CheckFailed(f"The service cannot start: {str(error).rstrip('.')}.") from error


def _build_embedded(settings: Settings) -> None:
    # Only the embedded cloud needs the packages that it imports.
    from nova_image_shim.fakecloud import create_cloud_app  # noqa: PLC0415
    from nova_image_shim.fakecloud.cloud import FakeCloud  # noqa: PLC0415
    from nova_image_shim.fakecloud.seed import load_seed  # noqa: PLC0415

    create_cloud_app(settings, FakeCloud(load_seed(settings.memory_images)))


def _cloud_findings(settings: Settings, wire: Wire, token_file: Path | None) -> Iterator[Finding]:
    # Keystone has to validate every token, so nothing is cached.
    fresh = replace(settings, token_cache_seconds=0, memcached_servers=())
    keystone, glance, authenticate = realcloud.open_cloud(fresh)
    user, session = settings.keystone, keystone.session

    wire.begin(login_step(session, user))
    token = keystone.log_in()
    yield ok(f"Keystone answers at {user.auth_url}.")
    yield from clock_findings(wire.last, "Keystone")
    yield ok("The service user can log in.")

    address = endpoint_of(token, user, "identity", "Keystone")
    wire.begin(validation_step(session, user, address, "The service user's own token"))
    caller = validate(wire, authenticate, str(token.auth_token))
    yield ok("Keystone validates the service user's own token.")
    if token_file:
        wire.begin(validation_step(session, user, address, "The client's token"))
        validate(wire, authenticate, token_in(token_file))
        yield ok("Keystone validates the client's token.")
    else:
        yield require_validating_role(token, user)

    if settings.identity_v2:
        yield from identity_v2_findings(settings, keystone, token)

    if other := settings.service_user:
        wire.begin(login_step(session, other, "[service_user]"))
        log_in(load_plugin(other.credentials()), session)
        yield ok("The user of [service_user] can log in.")

    origin = "SHIM_GLANCE_ENDPOINT" if settings.glance_endpoint else "Glance's endpoint"
    address = settings.glance_endpoint or endpoint_of(token, user, "image", "Glance")
    yield from link_findings(settings, token, address)
    wire.begin(list_step(glance.session, address, origin))
    realcloud.list_one_image(glance, caller.auth, settings.request_timeout_seconds)
    yield ok(f"Glance at {public_address(without_version(address))} lists images.")
    yield from clock_findings(wire.last, "Glance")


def token_in(path: Path) -> str:
    """Return the token in a file.

    Raises:
        CheckFailed: there is none.
    """
    fix = "Name a file with a token."
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_TOKEN_BYTES).removeprefix(codecs.BOM_UTF8)
        token = data.decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckFailed(f"--token-file {path}: {reason_of(error)}.", fix) from error
    if not token.isprintable() or not token or " " in token:
        raise CheckFailed(f"--token-file {path}: it does not contain a token.", fix)
    return token
