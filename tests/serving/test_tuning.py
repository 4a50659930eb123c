"""What a serving process is told of garbage and memory."""

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nova_image_shim.serving.tuning import tune_process


@pytest.fixture
def _thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_thresholds")
def test_a_list_of_a_thousand_images_is_no_reason_to_look_for_garbage() -> None:
    tune_process()
    gc.collect()
    collections = gc.get_stats()[0]["collections"]
    images: list[object] = [{"links": [{}, {}, {}], "metadata": {}} for _ in range(1000)]
    assert 1000 == len(images)
    assert collections == gc.get_stats()[0]["collections"]


@pytest.mark.usefixtures("_thresholds")
def test_threads_go_on_to_work() -> None:
    tune_process()
    with ThreadPoolExecutor(4) as pool:
        assert [2**20] * 8 == list(pool.map(len, map(bytes, [2**20] * 8)))
