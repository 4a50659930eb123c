"""Carry a comparison out as the arguments say: log in, compare, report."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from typing import IO

from nova_image_shim.auth.keystone import open_keystone
from nova_image_shim.check.cloud import token_in
from nova_image_shim.check.failures import reason_of
from nova_image_shim.check.findings import CheckFailed
from nova_image_shim.compare.comparison import UNEXPECTED, Comparison
from nova_image_shim.compare.intended import load_intended
from nova_image_shim.compare.logged import requests_in
from nova_image_shim.compare.plan import Plan
from nova_image_shim.compare.report import document, render
from nova_image_shim.compare.sides import CannotCompareError, Side, parse_address
from nova_image_shim.observability.redaction import redact, secret_forms
from nova_image_shim.settings import Settings, SettingsError

_SAME, _DIFFERENT, _FAILED = 0, 1, 2
_PROGRESS_SECONDS = 0.2

Client = tuple[str, str, str | None]  # a token, its project's id if known, and a CA bundle


def run_comparison(given: argparse.Namespace) -> int:
    """Compare, write the reports, and return the exit status."""
    secrets: list[str] = []
    try:
        # Opened first, so that a long comparison cannot end without its page.
        page = given.html.open("w", errors="backslashreplace") if given.html else nullcontext()
        with page as file:
            return _run(given, secrets, file)
    except (CannotCompareError, CheckFailed, OSError) as error:
        text = " ".join(map(str, error.args)) if isinstance(error, CheckFailed) else str(error)
    except KeyboardInterrupt:
        text = "interrupted"
    line = " ".join(_hidden(text, secrets).split())
    sys.stderr.write(f"nova-image-shim compare: {line}\n")
    return _FAILED


def _run(given: argparse.Namespace, secrets: list[str], page: IO[str] | None) -> int:
    client = _client(given, os.environ, secrets)
    logged: Counter[str] = Counter()
    comparison = _prepared(given, client, logged)
    comparison.begin()
    failed = _compare(comparison, given.requests)
    found = document(comparison, logged)
    if page:
        page.write(_hidden(render(found, "html"), secrets))
    _print(_hidden(render(found, given.format), secrets))
    if failed:
        return _FAILED
    return _DIFFERENT if found[UNEXPECTED] else _SAME


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough
        sys.stdout = None  # otherwise its flush at exit fails as well


def _client(given: argparse.Namespace, environ: Mapping[str, str], secrets: list[str]) -> Client:
    """Take the token in the file, or log in; note the secrets.

    Raises:
        CannotCompareError: the login fails.
        CheckFailed: the file has no token.
    """
    # The settings of the service are another user's.
    own = {name: text for name, text in environ.items() if not name.startswith("SHIM_")}
    if given.token_file:
        secrets.append(token := token_in(given.token_file))
        return token, own.get("OS_PROJECT_ID", ""), own.get("OS_CACERT")
    try:
        settings = Settings.from_environ(own)
        secrets += settings.secrets
        access = open_keystone(settings).log_in()
    except SettingsError as error:
        raise CannotCompareError("; ".join(each.text for each in error.problems)) from error
    except Exception as error:
        raise CannotCompareError(f"no login at {own['OS_AUTH_URL']}: {reason_of(error)}") from error
    secrets.append(str(access.auth_token))
    cacert = settings.keystone.cacert
    return secrets[-1], access.project_id or "", str(cacert) if cacert else None


def _prepared(given: argparse.Namespace, client: Client, logged: Counter[str]) -> Comparison:
    """Return the comparison, before it begins.

    Raises:
        CannotCompareError: the addresses differ in version or project, or there is no project; or
            a log cannot be read.
    """
    token, own, cacert = client
    base, mount, project = parse_address(given.nova)
    shim_base, shim_mount, shim_project = parse_address(given.shim)
    project = project or own
    if (mount, project) != (shim_mount, shim_project or own):
        raise CannotCompareError("both addresses must have the same version and project")
    if not project:
        raise CannotCompareError("put the project's id in place of %(tenant_id)s")
    bounds = {"rate": given.rate, "timeout_seconds": given.timeout}
    nova = Side("Nova", base, token, cacert=cacert, **bounds)
    shim = Side("the shim", shim_base, token, cacert=cacert, **bounds)
    requests = requests_in(given.from_log, project, logged)
    plan = Plan(mount, project, images=given.images, logged=requests)
    return Comparison(nova, shim, plan, load_intended(), bodies=not given.no_bodies)


def _compare(comparison: Comparison, most: int) -> bool:
    """Compare as far as possible; return whether something prevented the rest."""
    progress = _Progress(sys.stderr)
    try:
        comparison.run(most, progress)
    except CannotCompareError as error:
        comparison.incomplete = str(error)
    except KeyboardInterrupt:
        comparison.incomplete = "interrupted"
    else:
        return False
    finally:
        progress.end()
    return True


class _Progress:
    """A line on a terminal: requests, differences so far, time left."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream if stream.isatty() else None
        self._began = self._shown = time.monotonic()

    def __call__(self, comparison: Comparison) -> None:
        """Show the progress, unless it was shown just now."""
        now = time.monotonic()
        if self._stream and now - self._shown >= _PROGRESS_SECONDS:
            self._shown = now
            done, left = len(comparison.results), len(comparison.plan)
            minutes, seconds = divmod(int(left * (now - self._began) / done), 60)
            self._stream.write(
                f"\r{done} of {done + left} requests, {comparison.count(UNEXPECTED)} unexpected, "
                f"{minutes}:{seconds:02} left\033[K"
            )
            self._stream.flush()

    def end(self) -> None:
        """Remove the line."""
        if self._stream:
            self._stream.write("\r\033[K")


def _hidden(text: str, secrets: list[str]) -> str:
    return redact(text, secret_forms(*secrets))
