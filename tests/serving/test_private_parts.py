"""The private parts of libraries that the service uses: each is still what it was.

docs/explanation/architecture.md has the table of them, with the reason for each.
"""

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from glanceclient.common.http import SessionClient
from gunicorn.arbiter import Arbiter
from gunicorn.workers import gthread
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _exceptions


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (gthread.ThreadWorker.handle, ["self", "conn"]),
        (gthread.ThreadWorker.handle_request, ["self", "req", "conn"]),
        (gthread.ThreadWorker.set_accept_enabled, ["self", "enabled"]),
        (gthread.ThreadWorker.accept, ["self", "listener"]),
        (gthread.ThreadWorker.notify, ["self"]),
        (gthread.ThreadWorker.enqueue_req, ["self", "conn"]),
        (gthread.ThreadWorker.finish_request, ["self", "conn", "fs"]),
        (Arbiter.handle_hup, ["self"]),
        (Arbiter.spawn_worker, ["self"]),
        (gthread.TConn.wait_for_data, ["self", "timeout"]),
        (gthread.TConn.close, ["self", "graceful"]),
    ],
)
def test_gunicorn_calls_its_parts_as_before(function: Any, parameters: list[str]) -> None:
    assert parameters == list(inspect.signature(function).parameters)


def test_gunicorns_worker_has_a_thread_pool_with_a_queue() -> None:
    assert gthread._DEFER is not None
    assert "self.pending_conns.append(conn)" in inspect.getsource(gthread.ThreadWorker)
    assert "ThreadPoolExecutor" in inspect.getsource(gthread.ThreadWorker.get_thread_pool)
    with ThreadPoolExecutor(1) as pool:
        assert 0 == pool._work_queue.qsize()


def test_glanceclient_decodes_responses_in_one_method() -> None:
    assert ["self", "resp"] == list(inspect.signature(SessionClient._handle_response).parameters)
    assert "return self._handle_response(resp)" in inspect.getsource(SessionClient.request)


def test_keystonemiddleware_expects_one_exception_of_fetch_token() -> None:
    source = inspect.getsource(auth_token.BaseAuthProtocol.process_request)
    assert 2 == source.count("except ksm_exceptions.InvalidToken")
    assert auth_token.ksm_exceptions is _exceptions


def test_requests_takes_a_body_that_has_been_read() -> None:
    response = requests.Response()
    response._content = b"read"
    response._content_consumed = True  # type: ignore[attr-defined]
    assert b"read" == response.content
