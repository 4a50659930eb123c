"""The files in which the workers keep their metrics, so that each of them can answer for all.

prometheus_client maps a file for each kind of metric and process. Their space is reserved, because
writing to a mapped file on a full disk ends the process with SIGBUS. Metrics that cannot be written
are given up: they never end the service.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own
_COUNTING = ("counter", "histogram")  # their values stay when a worker ends
# Enough for the label sets that `Metrics` allows, so that no file ever grows.
_BYTES = dict.fromkeys(_COUNTING, 2**20) | dict.fromkeys(("gauge_livesum", "gauge_livemax"), 2**12)
_ENTRY_BYTES = 32  # of an entry, besides its key
_NEW = ".new"


class MetricsFiles:
    """The folder of the files, in gunicorn's master."""

    def __init__(self) -> None:
        self._own_folder: str | None = None
        self._ended: list[int] = []
        self._failure = _Failure("the metrics of ended workers are not added up")

    def open(self, uid: int, gid: int) -> None:
        """Empty the folder that PROMETHEUS_MULTIPROC_DIR names, or create a temporary one.

        A temporary one belongs to the user and group that the workers run as.
        """
        try:
            if configured := os.environ.get(_FOLDER_VARIABLE):
                Path(configured).mkdir(parents=True, exist_ok=True)
                for file in Path(configured).glob("*.db"):  # left by an earlier run
                    file.unlink()
            else:
                self._own_folder = tempfile.mkdtemp(prefix="nova-image-shim-metrics-")
                os.chown(self._own_folder, uid, gid)
                os.environ[_FOLDER_VARIABLE] = self._own_folder
        except OSError as error:
            os.environ.pop(_FOLDER_VARIABLE, None)
            _log.warning("there are no metrics: %s", error)

    def forget(self, pid: int) -> None:
        """Drop the gauges of a worker that has ended, and add its counts to those of all ended."""
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        if _FOLDER_VARIABLE not in os.environ:
            return
        self._ended.append(pid)
        try:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
            with _locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as folder:
                for kind in _COUNTING:
                    _add_up(folder / f"{kind}_ended.db", _files(folder, kind, self._ended))
            self._ended.clear()
        except BlockingIOError:
            pass  # somebody reads the files: they are added up when the next worker ends
        except Exception as error:  # noqa: BLE001 - also the library's, on a damaged file
            self._failure.log_once(error)

    def hand_over(self, environ: dict[str, str]) -> None:
        """Keep a temporary folder from the gunicorn that is to replace this one."""
        if self._own_folder:
            environ.pop(_FOLDER_VARIABLE, None)

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._own_folder:
            shutil.rmtree(self._own_folder, ignore_errors=True)


def reserve_files() -> bool:
    """Reserve the space for this process's metrics, and return whether they can be written."""
    folder = os.environ.get(_FOLDER_VARIABLE)
    if folder is None:
        return False
    files = {Path(folder, f"{kind}_{os.getpid()}.db"): size for kind, size in _BYTES.items()}
    try:
        for file, size in files.items():
            _reserve(file, size).replace(file)
    except OSError as error:
        _log.warning("this worker has no metrics: %s: %s", folder, error)
        for file in files:
            with suppress(OSError):
                file.with_suffix(_NEW).unlink(missing_ok=True)
                file.unlink(missing_ok=True)
        return False
    return True


class Collector:
    """Reads the metrics of all workers, for a registry."""

    def __init__(self) -> None:
        self._failure = _Failure("the metrics cannot be read")

    def collect(self) -> Iterable[Any]:
        """Return the metrics; none if they were given up at the start.

        Raises:
            Exception: the files cannot be read, or the process is about to end.
        """
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        if _FOLDER_VARIABLE not in os.environ:
            return []
        try:
            with _locked(fcntl.LOCK_SH) as folder:
                return MultiProcessCollector.merge(list(map(str, folder.glob("*.db"))))  # type: ignore[no-any-return, no-untyped-call]
        except Exception as error:
            self._failure.log_once(error)
            raise


class _Failure:
    """Something that fails again and again once it has failed; the log says so once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_logged = False

    def log_once(self, error: Exception) -> None:
        if not self._is_logged:
            _log.warning("%s: %s: %s", self._what, type(error).__name__, error)
        self._is_logged = True


@contextmanager
def _locked(how: int) -> Iterator[Path]:
    """Lock the folder, so that nobody sees counts twice or not at all while they are added up."""
    folder = os.open(os.environ[_FOLDER_VARIABLE], os.O_RDONLY)
    try:
        fcntl.flock(folder, how)
        yield Path(os.environ[_FOLDER_VARIABLE])
    finally:
        os.close(folder)


def _files(folder: Path, kind: str, pids: Iterable[int]) -> list[Path]:
    files = [folder / f"{kind}_{pid}.db" for pid in pids]
    return [file for file in files if file.exists()]


def _add_up(total: Path, files: list[Path]) -> None:
    """Replace files by their sum, total included."""
    from prometheus_client.mmap_dict import MmapedDict, mmap_key  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    added = [str(file) for file in (total, *files) if file.exists()]
    values = {
        mmap_key(
            metric.name, name, list(labels), list(labels.values()), metric.documentation
        ): value
        for metric in MultiProcessCollector.merge(added, accumulate=False)  # type: ignore[no-untyped-call]
        for name, labels, value, *_ in metric.samples
    }
    new = _reserve(total, sum(len(key) + _ENTRY_BYTES for key in values) + _ENTRY_BYTES)
    written = MmapedDict(str(new))  # type: ignore[no-untyped-call]
    for key, value in values.items():
        written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    written.close()  # type: ignore[no-untyped-call]
    new.replace(total)
    for file in files:
        file.unlink()


def _reserve(file: Path, size: int) -> Path:
    """Return an empty file of that size, which may replace another: nobody reads half a file."""
    new = file.with_suffix(_NEW)
    with new.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, size)
    return new
