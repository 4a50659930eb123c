"""A socket whose time-outs the system keeps.

Python keeps those of an ordinary socket with `poll` before each read and write. Each `poll`, and
each change of a time-out, gives up the interpreter, and with several threads another one takes it.
"""

import socket
import struct
from typing import Any, Self

_LEAST_SECONDS = 0.001  # 0 would be no time-out


class TimedSocket(socket.socket):
    """A connected socket in blocking mode with the system's time-outs for reads and writes.

    Where a read times out, `recv_into` raises BlockingIOError, and `readinto` of its file
    returns None.
    """

    _seconds: float | None = None

    @classmethod
    def of(cls, connected: socket.socket) -> Self:
        """Return a connected socket as one of this class, with its time-out."""
        seconds = connected.gettimeout()
        connected.settimeout(None)
        timed = cls(fileno=connected.detach())
        timed.settimeout(seconds)
        return timed

    def settimeout(self, value: float | None) -> None:
        """Set the time for each read and write; None is no limit."""
        if value != self._seconds:
            seconds = 0.0 if value is None else max(value, _LEAST_SECONDS)
            interval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self.setsockopt(socket.SOL_SOCKET, option, interval)
            self._seconds = value

    def gettimeout(self) -> float | None:
        """Return the time for each read and write."""
        return self._seconds

    def sendall(self, *args: Any) -> None:
        """Send all of a message; raise TimeoutError if a write takes too long."""
        try:
            super().sendall(*args)
        except BlockingIOError as error:
            raise TimeoutError("the request could not be sent in time") from error
