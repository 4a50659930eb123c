"""Tell a missing image from a wrong address: either is a 404."""

import math
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from cachetools import TTLCache

from nova_image_shim.adapters import image_port as port

_SECONDS = 60
_MAX_ADDRESSES = 64
_LONGEST_SECONDS = 3600.0


def names_image(text: str, image_id: str) -> bool:
    """Tell whether an error names an image, as Glance's own do; a URL with its id does not."""
    return bool(re.search(rf"\b(?:image|id) {re.escape(image_id)}(?!\w)", text, re.IGNORECASE))


class Addresses:
    """Whether Glance answers at an address: each is asked at most once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers: TTLCache[str, Future[port.ImageServiceError | None]] = TTLCache(
            _MAX_ADDRESSES, _SECONDS, clock
        )
        self._lock = threading.Lock()

    def require_glance(
        self, address: str, list_one: Callable[[], object], deadline: float = math.inf
    ) -> None:
        """Raise the error that a list of one image ends in, if it does; see `Context.deadline`.

        Raises:
            ImageServiceError: that of the list, or another request's list took too long.
        """
        own: Future[port.ImageServiceError | None] = Future()
        with self._lock:
            answer = self._answers.setdefault(address, own)
        if answer is own:
            own.set_result(_error_of(list_one))
        try:
            error = answer.result(min(deadline - time.monotonic(), _LONGEST_SECONDS))
        except TimeoutError as late:
            raise port.ImageServiceUnavailable("another request's list took too long") from late
        if error:
            raise type(error)(error.text, retry_after=error.retry_after)


def _error_of(call: Callable[[], object]) -> port.ImageServiceError | None:
    try:
        call()
    except port.ImageServiceError as error:
        return error
    return None
