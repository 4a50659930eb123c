"""Run the `translate` command with the translator's cases."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.paths import CASES

from nova_image_shim.cli import main
from nova_image_shim.translation.links import Links
from nova_image_shim.translation.translator import Translator

Run = Callable[..., tuple[int, str, str]]
TRANSLATION = json.loads((CASES / "translation.json").read_text())
LINKS = Links.under(
    "http://localhost:8774", "v2", "demo", "http://localhost:8774", project_in_alternate=True
)
IMAGE = {"id": "a", "name": "é", "status": "active", "owner": "me", "min_ram": 5, "os_distro": "x"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command over an input."""

    def run(data: bytes, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main(["translate", *arguments])
        out, err = capsys.readouterr()
        assert out.isascii()
        return status, out, err

    return run


@pytest.fixture
def translated(run: Run) -> Callable[..., Any]:
    """Return a function that returns the command's output for a value."""

    def translated(value: Any, *arguments: str) -> Any:
        status, out, err = run(json.dumps(value).encode(), *arguments)
        assert (0, "") == (status, err)
        return json.loads(out)

    return translated


def test_every_translation_case_passes(translated: Callable[..., Any]) -> None:
    legacy = [case["legacy"] for case in TRANSLATION]
    options = ("--base-url", "http://shim.example", "--glance-url", "http://glance.example:9292")
    project = ("--project", "6f70656e737461636b20342065766572")
    assert {"images": legacy} == translated(
        [case["glance"] for case in TRANSLATION], *options, *project
    )


def test_a_single_image_is_translated(translated: Callable[..., Any]) -> None:
    assert {"image": Translator(LINKS).full(IMAGE)} == translated(IMAGE)  # type: ignore[arg-type]


def test_a_byte_order_mark_is_accepted(run: Run) -> None:
    data = json.dumps(IMAGE).encode()
    assert run(data) == run(b"\xef\xbb\xbf" + data)


@pytest.mark.parametrize("wrap", [lambda images: {"images": images}, lambda images: images])
def test_a_list_is_translated(wrap: Any, translated: Callable[..., Any]) -> None:
    images = [IMAGE, IMAGE | {"id": "b", "name": None, "size": 5}]
    full = [Translator(LINKS).full(image) for image in images]  # type: ignore[arg-type]
    assert {"images": full} == translated(wrap(images))
    brief = [Translator(LINKS).brief(image) for image in images]  # type: ignore[arg-type]
    assert {"images": brief} == translated(wrap(images), "--brief")
    assert {"images": []} == translated(wrap([]))


# As `openstack image show -f json` writes it, properties that Glance has as attributes included.
SHOWN = {
    "checksum": None,
    "container_format": "bare",
    "created_at": "2024-02-01T12:00:00Z",
    "disk_format": "raw",
    "file": "/v2/images/a/file",
    "id": "a",
    "min_disk": 1,
    "min_ram": 2,
    "name": "é",
    "owner": "me",
    "protected": False,
    "schema": "/v2/schemas/image",
    "size": 7,
    "status": "active",
    "updated_at": "2024-02-01T12:00:00Z",
    "visibility": "shared",
}
NESTED = {"os_distro": "x", "os_hidden": False, "os_hash_algo": "sha512", "stores": "fs", "a": None}
FLAT = SHOWN | NESTED | {"tags": ["t"]}


def test_an_image_as_openstackclient_shows_it_is_translated(
    translated: Callable[..., Any],
) -> None:
    shown = SHOWN | {"properties": NESTED, "tags": ["t"]}
    expected = Translator(LINKS).full(FLAT)  # type: ignore[arg-type]
    assert {"os_distro": "x", "a": None} == expected["metadata"]
    assert {"image": expected} == translated(shown)
    assert {"images": [expected]} == translated([shown])


@pytest.mark.parametrize("value", ["x", "", None])
def test_a_property_called_properties_is_one_property(
    value: str | None, translated: Callable[..., Any]
) -> None:
    image = IMAGE | {"properties": value, "tags": []}
    metadata = translated(image)["image"]["metadata"]
    assert {"os_distro": "x", "properties": value} == metadata


def test_links_follow_the_options(translated: Callable[..., Any]) -> None:
    links = Links.under(
        "https://nova.example/x", "v2.1", "p 1", "https://glance.example", project_in_alternate=True
    )
    assert {"image": Translator(links).full(IMAGE)} == translated(  # type: ignore[arg-type]
        IMAGE,
        *("--base-url", "https://nova.example/x/", "--mount", "v2.1", "--project", "p 1"),
        *("--glance-url", "https://glance.example/"),
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input is not valid JSON: "),
        (b"{", "standard input is not valid JSON: "),
        (b"\xff", "standard input is not valid JSON: "),
        (b"[" * 100_000, "standard input is not valid JSON: "),
        (b"null", "image 1 is not an object with an `id`\n"),
        (b"{}", "image 1 is not an object with an `id`\n"),
        (b'{"images": [{"id": "a"}, {"id": 5}]}', "image 2 is not an object with an `id`\n"),
        (
            b'{"id": "a", "tags": "", "properties": "os_distro=\'x\'"}',
            "image 1 has its `properties` as text, as old releases of ",
        ),
        (b'[{"id": "a"}, 5]', "image 2 is not an object with an `id`\n"),
    ],
)
def test_invalid_input_is_reported(data: bytes, message: str, run: Run) -> None:
    status, out, err = run(data)
    assert (2, "") == (status, out)
    assert err.startswith(f"nova-image-shim translate: {message}")
    assert 1 == len(err.splitlines())
