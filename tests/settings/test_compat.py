"""Each word of SHIM_COMPAT changes one thing in the answers."""

from collections.abc import Callable
from typing import Any

import pytest

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.fakecloud.image_file import complete
from nova_image_shim.settings import Settings, SettingsError
from nova_image_shim.settings.settings import COMPAT

TEXT = '[{"device": "vda"}]'
PROPERTIES = {"auto_disk_config": "True", "block_device_mapping": TEXT, "mappings": TEXT}
LONG = {"text": "x" * 1024}  # so that the list is compressed
IMAGES = [{"id": "a", "owner": "demo", **PROPERTIES}, {"id": "b", "owner": "demo", **LONG}]
PATHS = {
    "list": "images/detail?limit=1&marker=b",
    "image": "images/a",
    "metadata": "images/a/metadata",
    "item": "images/a/metadata/mappings",
}


def answers(*words: str) -> dict[str, Any]:
    """Return the answers on the first image, by name."""
    service = MemoryImageService([complete(image) for image in IMAGES])
    settings = Settings(compat=words)
    client = create_app(settings, service, accept_any_token).test_client()
    headers = {"X-Auth-Token": "demo"}
    found: dict[str, Any] = {
        name: client.get(f"/v2/demo/{path}", headers=headers).json for name, path in PATHS.items()
    }
    packed = client.get("/v2/demo/images/detail", headers=headers | {"Accept-Encoding": "gzip"})
    coding = packed.headers.get("Content-Encoding")
    return found | {"version": client.get("/v2").json, "coding": coding}


def without_previous_links(usual: dict[str, Any]) -> None:
    following, previous = usual["list"].pop("images_links")
    assert ["next", "previous"] == [following["rel"], previous["rel"]]
    usual["list"]["images_links"] = [following]


def without(field: str) -> Callable[[dict[str, Any]], None]:
    def change(usual: dict[str, Any]) -> None:
        del usual["image"]["image"][field]
        del usual["list"]["images"][0][field]

    return change


def without_alternate_project(usual: dict[str, Any]) -> None:
    for image in (usual["image"]["image"], usual["list"]["images"][0]):
        assert "http://localhost/demo/images/a" == image["links"][2]["href"]
        image["links"][2]["href"] = "http://localhost/images/a"


def with_raw_mappings(usual: dict[str, Any]) -> None:
    owners = (usual["image"]["image"], usual["list"]["images"][0], usual["metadata"])
    for owner in owners:
        owner["metadata"] |= {"block_device_mapping": TEXT, "mappings": TEXT}
    usual["item"]["meta"]["mappings"] = TEXT


def without_compression(usual: dict[str, Any]) -> None:
    assert "gzip" == usual["coding"]
    usual["coding"] = None


def with_status(status: str) -> Callable[[dict[str, Any]], None]:
    def change(usual: dict[str, Any]) -> None:
        assert "SUPPORTED" == usual["version"]["version"]["status"]
        usual["version"]["version"]["status"] = status

    return change


CASES = [
    ("no-previous-links", without_previous_links),
    ("no-image-size", without("OS-EXT-IMG-SIZE:size")),
    ("no-disk-config", without("OS-DCF:diskConfig")),
    ("no-alternate-project", without_alternate_project),
    ("raw-block-device-mapping", with_raw_mappings),
    ("no-compression", without_compression),
    ("v2-current", with_status("CURRENT")),
    ("v2-deprecated", with_status("DEPRECATED")),
]


@pytest.mark.parametrize(("word", "change"), CASES)
def test_a_word_changes_the_answers_and_nothing_else(word: str, change: Any) -> None:
    expected = answers()
    change(expected)
    assert expected == answers(word)


def test_the_words_can_be_combined() -> None:
    expected = answers()
    for word, change in CASES:
        if word != "v2-deprecated":
            change(expected)
    assert expected == answers(*COMPAT[:-1])


def test_v2_has_one_status() -> None:
    environ = {"SHIM_BACKEND": "memory", "SHIM_COMPAT": "v2-current,v2-deprecated"}
    with pytest.raises(SettingsError, match="only one of v2-current and v2-deprecated"):
        Settings.from_environ(environ)


def test_every_word_has_a_case() -> None:
    assert list(COMPAT) == [word for word, _ in CASES]
