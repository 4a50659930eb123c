"""`compare` as a command, on two services of which one or both are faulty.

tests/real/test_compare.py has the same command on a real Nova.
"""

import _thread
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from support.fakes import FakeKeystone, says, serve
from support.front import FAULTS, Change, Fault, Front, assert_found, unexpected, with_json
from support.live import free_port, glance_environ
from support.peers import Step, drips, hears, scripted, sends
from werkzeug.wrappers import Request, Response

from nova_image_shim.cli import main
from nova_image_shim.compare.sides import Side

from .conftest import PROJECT, TOKEN, Run

Program = Callable[..., tuple[int, str, str]]
LIST = f"/v2/{PROJECT}/images"


def test_two_equal_services_have_no_difference(compare: Run, nova: Front, shim: Front) -> None:
    status, found = compare()
    assert (0, 0, 0) == (status, found["unexpected"], found["intended"])
    assert found["requests"] == found["same"] == len(set(nova.seen)) - 1  # the first list of one
    assert nova.seen == shim.seen


def test_every_kind_of_request_is_sent(compare: Run, nova: Front, client: FlaskClient) -> None:
    kinds = compare("--images", 1000)[1]["kinds"]
    images = client.get(f"{LIST}/detail").get_json()["images"]
    keys = {key for image in images for key in image["metadata"]}
    shown = [f"GET {LIST}/{image['id']}{end}" for image in images for end in ("", "/metadata")]
    assert ["versions", "lists", "filters", "limits", "markers", "paging", "unknown"] == list(
        kinds
    )[:7]
    assert set() == set(shown) - set(nova.seen)
    assert keys == {seen.rpartition("/")[2] for seen in nova.seen if "/metadata/" in seen} - {
        "no-key"
    }
    for name in (
        "name",
        "status",
        "type",
        "server",
        "changes-since",
        "minRam",
        "minDisk",
        "limit",
        "marker",
    ):
        assert any(f"?{name}=" in seen for seen in nova.seen), name


def test_nothing_but_get_and_head_is_sent(compare: Run, nova: Front, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        f'1 - - [t] "DELETE {LIST}/a HTTP/1.1" 204 0\n1 - - [t] "POST {LIST}/a/metadata"\n'
    )
    status, found = compare("--from-log", log)
    assert (0, {"read": 0, "writes": 2}) == (status, found["logged"])
    assert {"GET", "HEAD"} == {seen.partition(" ")[0] for seen in nova.seen}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found_and_named(fault: Fault, compare: Run, shim: Front) -> None:
    shim.change = fault.change
    status, found = compare()
    assert 1 == status
    assert_found(fault, found)


def test_only_a_sample_of_the_images_is_shown(compare: Run) -> None:
    assert [2, 2] == [
        compare("--images", 2)[1]["kinds"][kind]["requests"] for kind in ("images", "metadata")
    ]


def test_it_ends_at_the_limit_of_requests(compare: Run) -> None:
    status, found = compare("--requests", 10)
    assert (0, 9) == (status, found["requests"])
    assert "10 requests were sent, as many as --requests allows" == found["incomplete"]


# One of the services is away, slow, or talks nonsense


def test_a_service_that_refuses_connections_ends_it(program: Program) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    words = "returns 0, not a list of images: no answer: Connection refused"
    assert (2, "", f"nova-image-shim compare: the shim at {nobody} {words}\n") == program(
        shim=nobody
    )
    assert (2, "", f"nova-image-shim compare: Nova at {nobody} {words}\n") == program(nova=nobody)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (drips(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000), "no answer in time"),
        (sends(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), "SSH-2.0-OpenSSH_9.2p1"),
        (
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
            "returns 200, not a list of images",
        ),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "no answer"),
        (
            sends(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"),
            "returns 401, not a list of images",
        ),
    ],
)
def test_a_service_that_is_slow_or_talks_nonsense_ends_it(
    step: Step, words: str, program: Program
) -> None:
    with scripted(*[[hears, step]] * 2) as server:
        status, out, err = program("--timeout", 0.3, shim=server.url)
    assert (2, "") == (status, out)
    assert err.startswith(f"nova-image-shim compare: the shim at {server.url} ")
    assert words in err
    assert 1 == err.count("\n")


@pytest.mark.parametrize("side", ["nova", "shim"])
def test_errors_in_a_row_end_it_and_what_is_known_is_shown(
    side: str, program: Program, request: pytest.FixtureRequest
) -> None:
    front: Front = request.getfixturevalue(side)
    front.change = lambda _request, _answer: Response(status=503) if len(front.seen) > 20 else None
    status, out, err = program()
    assert (2, "") == (status, err)
    assert re.search(r" fails [56] times in a row: status 503; not sent: \d+\n\Z", out)
    assert 20 <= len(front.seen) <= 30


def test_a_token_that_expires_ends_it(program: Program, nova: Front, shim: Front) -> None:
    nova.change = shim.change = lambda *_: Response(status=401) if len(nova.seen) > 20 else None
    status, out, _ = program()
    assert 2 == status
    assert f"\nincomplete: Nova at {nova.url} no longer accepts the token; not sent: " in out


def an_endless_page(_request: Request, answer: Response) -> None:
    """Let the next page of each list be the same one."""
    link = {"rel": "next", "href": f"http://nova{LIST}?limit=2"}
    with_json(answer, lambda body: body.update(images_links=[link]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (an_endless_page, f"returns 200 to GET {LIST}?limit=2, not a list of images"),
        (
            lambda _, answer: answer.set_data("[]"),
            f"returns 200 to GET {LIST}, not a list of images",
        ),
    ],
)
def test_a_list_of_nova_that_is_none_ends_it(
    change: Change, words: str, program: Program, nova: Front, shim: Front
) -> None:
    def change_list(request: Request, answer: Response) -> None:
        if request.path == LIST:
            change(request, answer)

    nova.change = shim.change = change_list
    status, out, err = program()
    assert (2, "") == (status, err)
    assert f"\nincomplete: Nova at {nova.url} {words}; not sent: " in out


BODIES = [
    b"",
    b"{",
    b"[]",
    b"7",
    b'{"image": 1e999}',
    b"\x00\xff",
    b'{"a": "\\ud800"}',
    b"[" * 10**5,
]


def test_an_answer_of_any_other_content_is_a_difference(
    compare: Run, shim: Front, tmp_path: Path
) -> None:
    def change(request: Request, answer: Response) -> None:
        if request.path.endswith("/metadata") and answer.status_code == 200:
            body = bodies.setdefault(request.path, BODIES[len(bodies) % len(BODIES)])
            answer.set_data(body)

    shim.change, bodies = change, dict[str, bytes]()
    status, found = compare("--images", len(BODIES), "--html", tmp_path / "page.html")
    assert (1, len(BODIES)) == (status, found["unexpected"])
    assert "unexpected" in (tmp_path / "page.html").read_text()


def test_a_redirect_is_compared_and_not_followed(compare: Run, shim: Front) -> None:
    with serve(elsewhere := Front(lambda *_: [])) as url:
        shim.change = lambda request, _answer: (
            Response(status=302, headers={"Location": f"{url}/"})
            if "/metadata" in request.path
            else None
        )
        status, found = compare()
    assert (1, []) == (status, elsewhere.seen)
    assert {"status", "header/Location", "header/Content-Type"} <= {
        field for _, field in unexpected(found)
    }


# The cloud changes meanwhile


def with_another_name(numbers: Iterator[int], request: Request, answer: Response) -> None:
    """Give an image in the whole list a name that it has had in no other answer."""
    if request.path == f"{LIST}/detail" and not request.args:
        with_json(answer, lambda body: body["images"][0].update(name=f"name-{next(numbers)}"))


def rename(client: FlaskClient, name: str) -> None:
    """Change a key of an image's metadata, as another client does."""
    image = client.get(f"{LIST}/detail").get_json()["images"][0]
    address = f"{LIST}/{image['id']}/metadata/changed"
    assert 200 == client.put(address, json={"meta": {"changed": name}}).status_code


def test_a_change_between_two_requests_is_no_difference(
    compare: Run, shim: Front, client: FlaskClient
) -> None:
    once = iter([True])

    def change(request: Request, answer: Response) -> Response | None:
        if request.path.endswith("/detail") and not request.args and next(once, False):
            rename(client, "now")
            return Response.from_app(client.application, request.environ, buffered=True)
        return None

    shim.change = change
    status, found = compare()
    assert (0, 0, 1) == (status, found["unexpected"], found["sent_again"])


def test_a_cloud_that_always_changes_has_no_unexpected_difference(
    compare: Run, nova: Front, shim: Front
) -> None:
    nova.change = shim.change = partial(with_another_name, itertools.count())
    status, found = compare()
    assert (0, 0, 1) == (status, found["unexpected"], found["changing"])


def test_a_service_that_always_changes_differs_from_nova(
    compare: Run, shim: Front, client: FlaskClient
) -> None:
    numbers = itertools.count()
    image = client.get(f"{LIST}/detail").get_json()["images"][0]["id"]
    shim.change = partial(with_another_name, numbers)
    status, found = compare()
    assert (1, [(f"GET {LIST}/detail", f"body/images/{image}/name")]) == (status, unexpected(found))


# Whom it asks, and what it hides


def test_it_logs_in_with_the_operators_variables(
    nova: Front,
    shim: Front,
    keystone: FakeKeystone,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokens = set()
    for front in (nova, shim):
        front.change = lambda request, _: tokens.add(request.headers["X-Auth-Token"])
    environ = glance_environ(keystone)
    for name, value in (environ | {"SHIM_THREADS": "of another user"}).items():
        monkeypatch.setenv(name, value)
    addresses = [f"{front.url}/v2/%(tenant_id)s" for front in (nova, shim)]
    given = ["compare", "--nova", addresses[0], "--shim", addresses[1], "--rate", "1000"]
    assert 0 == main(given)
    assert 1 == len(tokens)
    assert "POST" in {seen.method for seen in keystone.seen}
    keystone.answers.append(says(401, {"error": {"message": f"no {environ['OS_PASSWORD']}"}}))
    capsys.readouterr()
    assert 2 == main(given)
    told = f"nova-image-shim compare: no login at {environ['OS_AUTH_URL']}: no *** (HTTP 401)\n"
    assert ("", told) == capsys.readouterr()


@pytest.mark.parametrize("arguments", [[], ["--format", "json"], ["--no-bodies"]])
def test_no_secret_is_shown_whatever_a_service_repeats(
    arguments: list[str], program: Program, shim: Front, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"

    def repeat(request: Request, answer: Response) -> Response | None:
        if not request.path.endswith("/metadata"):
            return None
        token = request.headers["X-Auth-Token"]
        return Response(f'{{"a": "{token}"}}', 200, {"Allow": token}, mimetype="application/json")

    shim.change = repeat
    status, out, err = program("--html", page, *arguments)
    assert (1, "") == (status, err)
    assert TOKEN not in out
    assert TOKEN not in page.read_text()
    assert "***" in out


def test_bodies_can_be_left_out(program: Program, shim: Front, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shim.change = FAULTS["another order"].change
    for arguments, count in (([], 2), (["--no-bodies"], 0)):
        status, out, _ = program("--html", page, "--format", "json", *arguments)
        assert 1 == status
        for text in (out, page.read_text()):
            assert bool(count) == ("fakeimage7" in text.replace("name=fakeimage7", ""))


def test_text_of_a_service_neither_controls_a_terminal_nor_a_page(
    program: Program, shim: Front, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"

    def change(request: Request, answer: Response) -> None:
        if request.path.endswith("/metadata"):
            answer.set_data(json.dumps({"metadata": {"a": "\x1b[2J\nunexpected: <script>"}}))
            answer.headers["Allow"] = "<script>"

    shim.change = change
    _, out, _ = program("--html", page)
    assert "\x1b" not in out
    assert {"<script>"} == set(re.findall("<script>", out))
    assert "<script>" not in page.read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nova": "ftp://a/v2/p"}, "the address 'ftp://a/v2/p' is not of the form http"),
        ({"nova": "http://a/v2"}, "the address 'http://a/v2' is not of the form http"),
        ({"nova": "http://u:p@a/v2/p"}, "the address 'http://a/v2/p' is not of the form http"),
        ({"nova": "http://a/v2.1/demo"}, "both addresses must have the same version and project"),
        ({"nova": "http://a/v2/other"}, "both addresses must have the same version and project"),
    ],
)
def test_an_unusable_address_is_refused(
    given: dict[str, str],
    words: str,
    shim: Front,
    token_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    addresses = ["--nova", given["nova"], "--shim", f"{shim.url}/v2/demo"]
    assert 2 == main(["compare", *addresses, "--token-file", str(token_file)])
    out, err = capsys.readouterr()
    assert ("", True) == (out, words in err)
    assert [] == shim.seen


def test_a_token_file_needs_a_project(
    shim: Front,
    token_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OS_PROJECT_ID", raising=False)
    address = f"{shim.url}/v2/%(tenant_id)s"
    given = ["compare", "--nova", address, "--shim", address, "--rate", "1000"]
    given += ["--token-file", str(token_file)]
    assert 2 == main(given)
    assert "put the project's id in place of %(tenant_id)s" in capsys.readouterr().err
    monkeypatch.setenv("OS_PROJECT_ID", PROJECT)
    assert 0 == main(given)


# How it ends, and what it shows meanwhile


def test_ctrl_c_shows_what_is_known(program: Program, nova: Front) -> None:
    def change(_request: Request, _answer: Response) -> None:
        if len(nova.seen) == 20:
            _thread.interrupt_main()

    nova.change = change
    status, out, err = program()
    assert (2, "") == (status, err)
    assert "\nincomplete: interrupted; not sent: " in out


def test_a_page_that_cannot_be_written_is_reported_first(
    program: Program, nova: Front, tmp_path: Path
) -> None:
    status, out, err = program("--html", tmp_path / "none" / "page.html")
    assert (2, "", []) == (status, out, nova.seen)
    assert "No such file or directory" in err


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_pipe_that_is_closed_is_no_error(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Closed())
        assert (0, "", "") == program()


def test_the_table_has_the_first_requests_only(program: Program, shim: Front) -> None:
    shim.change = FAULTS["a missing key"].change
    status, out, _ = program("--images", 1000)
    assert (1, 20) == (status, len(re.findall(r"^unexpected: ", out, re.MULTILINE)))
    assert re.search(
        r"^\.\.\. \d+ more such requests; --format json and --html have all", out, re.M
    )


def test_a_terminal_shows_the_progress(
    program: Program, shim: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    shim.change = FAULTS["a wrong status"].change
    program("--rate", 100)
    assert re.search(r"\r\d+ of \d+ requests, \d+ unexpected, \d+:\d\d left", terminal.getvalue())
    assert terminal.getvalue().endswith("\r\033[K")


def test_requests_are_sent_no_faster_than_the_rate(nova: Front) -> None:
    slept: list[float] = []
    side = Side("Nova", nova.url, TOKEN, rate=5, timeout_seconds=9, sleep=slept.append)
    for _ in range(3):
        side.ask(f"GET {LIST}")
    assert [0.0, 0.2, 0.2] == [round(seconds, 1) for seconds in slept]


def test_a_method_that_writes_is_never_sent(nova: Front) -> None:
    side = Side("Nova", nova.url, TOKEN, rate=1000, timeout_seconds=9)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"):
        with pytest.raises(ValueError, match="not a method that only reads"):
            side.ask(f"{method} {LIST}")
    assert [] == nova.seen
