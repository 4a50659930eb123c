"""A search for tokens and passwords in all that every live service of the tests has said.

Each token of the fakes and of the real Keystone has a form of its own, and so has no test to name
those it used. `live_shim` calls this for its log, its metrics and its answers when it ends; the
answers of applications inside the tests' own process are searched as they are given.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from flask import Response

TOKEN = re.compile(r"[\w.%-]+-token-0123456789abcdef|gAAAA[\w=-]{40,}", re.ASCII)
TOKEN_PARTS = ("-token-0123456789abcdef", "gAAAA")
# Passwords with which the tests' clients log in, to the fakes and to the real Keystone.
LOGIN = re.compile(r"[\w-]+-password-0123456789abcdef|\b(?:admin|demo|alt)-password\b", re.ASCII)
# The token that a login by identity v2.0 returns: the one secret that belongs in an answer.
ISSUED = re.compile(r'(?<=\{"access":\{"token":\{"id":")[^"]+')
KINDS = ("logs", "pages of metrics", "answers")
PASSWORDS = ("OS_PASSWORD", "OS_APPLICATION_CREDENTIAL_SECRET")
SEARCHED: Counter[str] = Counter()
_ANY_FORM = 47  # zlib's word for gzip or its own


def note(kind: str, text: str, environ: Mapping[str, str]) -> None:
    """Search, and count what was searched; see `search`."""
    search(kind, text, environ)
    SEARCHED[kind] += bool(text)
    SEARCHED["characters"] += len(text)


def note_answer(_app: object, response: Response, **_: object) -> None:
    """Search an answer of this process: to be connected to Flask's `request_finished`."""
    note("answers", text_of(response), {})


class AnswerSearch:
    """Searches a process's answers and writes a line of JSON for each: its length, what is wrong.

    An instance is to be connected to Flask's `request_finished`.

    Args:
        file: where the lines go, those of other processes among them.
        environ: the service's settings.
    """

    def __init__(self, file: Path, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ

    def __call__(self, _app: object, response: Response, **_: object) -> None:
        """Search an answer."""
        text, wrong = text_of(response), None
        try:
            search("answers", text, self._environ)
        except AssertionError as error:
            wrong = str(error)
        with self._file.open("a") as file:
            file.write(json.dumps([len(text), wrong]) + "\n")


def note_answers(file: Path) -> None:
    """Count what an `AnswerSearch` wrote.

    Raises:
        AssertionError: it found a secret.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    for length, wrong in map(json.loads, lines):
        assert wrong is None, wrong
        SEARCHED["answers"] += 1
        SEARCHED["characters"] += length


def text_of(response: Response) -> str:
    """Return an answer as text, head and body; a body that is made as it is sent is left out."""
    body = b"".join(response.iter_encoded()) if response.is_sequence else b""
    if body and response.headers.get("Content-Encoding"):
        body = zlib.decompress(body, wbits=_ANY_FORM)
    return f"{response.status}\n{response.headers}{body.decode('latin-1')}"


def search(kind: str, text: str, environ: Mapping[str, str]) -> None:
    """Find no secret.

    Args:
        kind: `logs`, `pages of metrics` or `answers`.
        text: what was said.
        environ: the service's settings, passwords among them.

    Raises:
        AssertionError: there is one; it is named with what stands around it.
    """
    if kind == "answers":
        text = ISSUED.sub("", text, count=1)
    secrets = {environ[name] for name in PASSWORDS if len(environ.get(name, "")) >= 8}
    patterns = [TOKEN] if any(part in text for part in TOKEN_PARTS) else []  # answers are long
    patterns += [LOGIN] if "-password" in text else []
    for pattern in (*patterns, *map(re.compile, map(re.escape, secrets))):
        if found := pattern.search(text):
            start = max(0, found.start() - 200)
            raise AssertionError(f"a secret is in the {kind}: {text[start : found.end() + 100]}")


def told() -> str:
    """Return the line that sums the search up, empty where nothing was searched."""
    kinds = ", ".join(f"{SEARCHED[kind]} {kind}" for kind in KINDS if SEARCHED[kind])
    characters = SEARCHED["characters"]
    return kinds and f"canary: {kinds}, {characters} characters, hold no token and no password"
