"""How far a list travels: the calls and files of ours between the view and its response."""

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.fakes import FakeGlance, FakeKeystone, token_of
from support.images import load_images
from support.live import glance_environ

from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.realcloud import create_glance_app
from nova_image_shim.settings import Settings

ROOT = Path(__file__).parents[2]
OURS = tuple(str(ROOT / folder) for folder in ("app", "adapters"))


@pytest.mark.parametrize(("shared", "most_files", "most_calls"), [("0", 16, 60), ("2", 19, 72)])
def test_a_list_crosses_few_files_and_calls(
    shared: str, most_files: int, most_calls: int, keystone: FakeKeystone, glance: FakeGlance
) -> None:
    glance.service = MemoryImageService(load_images()[:1])
    app = create_glance_app(
        Settings.from_environ(glance_environ(keystone) | {"SHIM_SHARED_LISTS": shared})
    )
    view = app.view_functions["images.detail"]
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            calls[frame.f_code.co_filename] += 1

    def traced(**kwargs: Any) -> Any:
        sys.setprofile(count)
        try:
            return view(**kwargs)
        finally:
            sys.setprofile(None)

    app.view_functions["images.detail"] = traced
    client = app.test_client()
    for _ in range(2):  # the second is that of a known token and a warm process
        calls.clear()
        answer = client.get("/v2/demo/images/detail", headers={"X-Auth-Token": token_of("demo")})
        assert (200, 1) == (answer.status_code, len(answer.get_json()["images"]))
    names = {str(Path(name).relative_to(ROOT)): number for name, number in calls.items()}
    assert len(calls) <= most_files, names
    assert calls.total() <= most_calls, names
