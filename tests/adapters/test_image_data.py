"""The data of images: where it is, what is counted, and that nothing is left behind."""

import hashlib
import io
from pathlib import Path

import pytest

from nova_image_shim.adapters.image_port import ImageBadRequest, ImageQuotaExceeded
from nova_image_shim.adapters.memory.data import ImageData, ImageFiles

MIB = 2**20


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where temporary files are."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def received(files: ImageFiles, data: bytes, announced: int = 0) -> ImageData:
    return files.receive(io.BytesIO(data).read, announced)


def kept(folder: Path) -> list[int]:
    """Return the sizes of the files that there are."""
    return sorted(path.stat().st_size for path in folder.glob("nova-image-shim-*/*"))


def content(data: ImageData) -> bytes:
    with data.open() as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB])
def test_large_data_is_in_a_file_that_goes_with_it(size: int, folder: Path) -> None:
    given = bytes(size)
    data = received(ImageFiles(MIB * 8), given, size)
    assert ([size] if size > MIB else []) == kept(folder)
    hashes = hashlib.md5(given).hexdigest(), hashlib.sha512(given).hexdigest()
    assert (given, size, *hashes) == (content(data), data.size, data.md5, data.sha512)
    with data.open() as file:
        del data
        assert [] == kept(folder)
        assert given == file.read()  # who reads it reads on


def test_data_is_in_files_once_there_is_much_of_it(folder: Path) -> None:
    files = ImageFiles(MIB * 64)
    first = [received(files, bytes(MIB)) for _ in range(32)]
    assert [] == kept(folder)
    more = received(files, b"x")
    assert [1] == kept(folder)
    del first, more
    data = received(files, b"x")
    assert ([], b"x") == (kept(folder), content(data))


def test_the_directory_goes_with_the_cloud(folder: Path) -> None:
    files = ImageFiles(MIB * 8)
    data = received(files, bytes(2 * MIB))
    assert 1 == len(list(folder.iterdir()))
    del files, data
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize(
    ("size", "announced", "error", "text"),
    [
        (5, 4, ImageBadRequest, "Size exceeds: expected 4 bytes, got 5 bytes"),
        (5, 6, ImageBadRequest, "Size mismatch: expected 6 bytes, got 5 bytes"),
        (2 * MIB, 3 * MIB, ImageBadRequest, "Size mismatch: expected 3145728 bytes, got 2097152"),
        (0, 9 * MIB, ImageQuotaExceeded, "The incoming image is too large: The provided image"),
        (9 * MIB, 0, ImageQuotaExceeded, "The incoming image is too large: The provided image"),
    ],
)
def test_refused_data_leaves_nothing(
    size: int, announced: int, error: type[Exception], text: str, folder: Path
) -> None:
    files = ImageFiles(MIB * 8)
    with pytest.raises(error, match=text):
        received(files, bytes(size), announced)
    assert [] == kept(folder)
    assert all(received(files, bytes(8 * MIB)).size for _ in range(5))  # all room is there


def test_a_read_that_fails_leaves_nothing(folder: Path) -> None:
    chunks = [bytes(2 * MIB)]
    with pytest.raises(IndexError):
        ImageFiles(MIB * 8).receive(lambda _size: chunks.pop(), 0)
    assert [] == kept(folder)


def test_all_data_together_has_a_bound(folder: Path) -> None:
    files = ImageFiles(MIB)
    full = [received(files, bytes(MIB)) for _ in range(4)]
    with pytest.raises(ImageQuotaExceeded, match="Image storage media is full"):
        received(files, b"x")
    del full[0]
    assert b"x" == content(received(files, b"x"))
