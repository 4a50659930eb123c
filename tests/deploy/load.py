"""Clients that read lists and write metadata as fast as they are answered."""

import threading
from collections import Counter
from typing import Any, Self

import requests
from support.live import until

READERS = 4


class Load:
    """The clients, running while the context is open, and their responses.

    Args:
        images: the URL of the images.
        image_ids: the images to write to, each with a writer of its own.
        token: for all of them.
        verify: the CA bundle for TLS.
    """

    GOOD = frozenset({"GET 200", "POST 200", "PUT 200", "DELETE 204"})

    def __init__(self, images: str, image_ids: list[str], token: str, verify: str = "") -> None:
        self.outcomes: Counter[str] = Counter()
        self._images = images
        self._token = token
        self._verify = verify or True
        self._over = threading.Event()
        self._lock = threading.Lock()
        scripts = [self._read] * READERS + [self._writer(image_id) for image_id in image_ids]
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in scripts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait for a number of further responses."""
        target = self.outcomes.total() + count
        until(lambda: self.outcomes.total() >= target, 60)

    def _run(self, script: Any) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self._verify
            session.headers["X-Auth-Token"] = self._token
            while not self._over.is_set():
                script(session)

    def _read(self, session: requests.Session) -> None:
        self._ask(session, "GET", "/detail")

    def _writer(self, image_id: str) -> Any:
        metadata = f"/{image_id}/metadata"

        def write(session: requests.Session) -> None:
            self._ask(session, "POST", metadata, {"metadata": {"colour": "a b"}})
            self._ask(session, "PUT", f"{metadata}/c%6Flour", {"meta": {"colour": "c"}})
            self._ask(session, "PUT", metadata, {"metadata": {"colour": "d"}})
            self._ask(session, "DELETE", f"{metadata}/colour")

        return write

    def _ask(self, session: requests.Session, method: str, path: str, body: Any = None) -> None:
        try:
            answer = session.request(method, self._images + path, json=body, timeout=60)
            outcome = f"{method} {answer.status_code}"
        except requests.RequestException as error:
            outcome = f"{method} {error!r}"
        with self._lock:
            self.outcomes[outcome] += 1
