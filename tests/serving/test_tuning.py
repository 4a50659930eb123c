"""Garbage collection, memory and open files of a serving process."""

import gc
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nova_image_shim.serving.tuning import (
    connection_limit,
    raise_open_file_limit,
    tune_process,
)
from nova_image_shim.settings import Settings


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


def test_the_limit_of_open_files_is_raised_as_far_as_it_can_be() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    try:
        assert hard == raise_open_file_limit()
        assert (hard, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("open_files", "connections"), [(2**20, 1055), (1206, 1055), (1205, 1054), (207, 56)]
)
def test_connections_leave_open_files_to_the_rest(open_files: int, connections: int) -> None:
    assert connections == connection_limit(open_files, Settings())


def test_too_few_open_files_are_refused_with_the_number_needed() -> None:
    wrong = r"206 open files \(ulimit -n\) are too few for SHIM_THREADS=16, which needs 207"
    with pytest.raises(ValueError, match=wrong):
        connection_limit(206, Settings())
