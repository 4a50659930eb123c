"""Lines of a log that could not be understood, and when they count."""

import re

from nova_image_shim.observability.trace import ACCESS_LOGGER

_BLANK = b"\0 \t\r\n"  # zeros are left by file systems after a crash
_AROUND_ENTRIES = b"[]{},"  # of a JSON list, an entry in a line
# A call, binary data, or a long message, which the journal leaves out without --all.
_SUSPECT = re.compile(re.escape(ACCESS_LOGGER.encode()) + rb'|\0|"MESSAGE" ?: ?null')
_LARGE_SHARE = 1 / 3  # fewer may be the service manager's, or warnings of the interpreter
_LONGEST_EXAMPLE = 160


class UnknownLines:
    """How many lines of a log could not be understood, with an example.

    A line that may have been a call always counts; others count if they are a large share.
    """

    def __init__(self) -> None:
        self.lines = 0  # of the log, known and unknown
        self._suspects = self._others = 0
        self._example = b""

    def add(self, line: bytes) -> None:
        """Add an unknown line."""
        line = line.strip(_BLANK)
        if _SUSPECT.search(line):
            self._example = self._example if self._suspects else line
            self._suspects += 1
        elif line.strip(_AROUND_ENTRIES):
            self._example = self._example or line
            self._others += 1

    @property
    def number(self) -> int:
        """The number of lines that count."""
        large = self._others > self.lines * _LARGE_SHARE
        return self._suspects + large * self._others

    def __str__(self) -> str:
        example = self._example[:_LONGEST_EXAMPLE].decode(errors="replace")
        return (
            f"{self.number:,} of {self.lines:,} lines could not be understood, such as {example!a}"
        )
