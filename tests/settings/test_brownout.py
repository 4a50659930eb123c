"""Which requests a brownout refuses, and how they are answered and counted."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from nova_image_shim import create_app
from nova_image_shim.adapters.memory.service import MemoryImageService
from nova_image_shim.auth.any_token import accept_any_token
from nova_image_shim.observability.client_families import FAMILIES
from nova_image_shim.observability.metrics import Metrics
from nova_image_shim.settings import Settings
from nova_image_shim.settings.brownout import ALLOWED, Brownout


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2027, 1, 31, hour, minute, tzinfo=UTC)


GOOD: dict[str, dict[str, Any]] = {
    "percent=10": {"percent": 10.0},
    "percent=0.5": {"percent": 0.5},
    "percent=100 status=404": {"status": 404},
    "clients=fog": {"clients": frozenset({"fog"})},
    "clients=fog,goose status=410": {"clients": frozenset({"fog", "goose"})},
    "window=2027-01-31T10:00Z/2027-01-31T11:30Z": {"window": ((at(10), at(11, 30)),)},
    "window=2027-01-31T10:00+01:00/2027-01-31T10:00": {"window": ((at(9), at(10)),)},
    "window=2027-01-31T10:00/2027-01-31T11:00,2027-01-31T12:00/2027-01-31T13:00": {
        "window": ((at(10), at(11)), (at(12), at(13)))
    },
    "percent=1\n clients=none\twindow=2027-01-31T10/2027-01-31T11": {
        "percent": 1.0,
        "clients": frozenset({"none"}),
        "window": ((at(10), at(11)),),
    },
}


@pytest.mark.parametrize(("text", "fields"), GOOD.items())
def test_a_valid_brownout_is_parsed(text: str, fields: dict[str, Any]) -> None:
    assert Brownout(**fields) == Brownout.parse(text)


ONCE = f"{ALLOWED}, each once; "
NO_PERCENT = "must have a percent above 0 and up to 100, not"
NO_CLIENTS = f"must have clients out of {', '.join(FAMILIES)}, not"
NO_WINDOW = "must have a window START/END of two ISO 8601 times, not"
NO_TIME = "must have a window that ends after its start, not"
BAD = {
    "status=404": f"{ALLOWED}; percent=100 refuses all requests",
    "percent": f"{NO_PERCENT} ''",
    "percent=0": f"{NO_PERCENT} '0'",
    "percent=101": f"{NO_PERCENT} '101'",
    "percent=-1": f"{NO_PERCENT} '-1'",
    "percent=10%": f"{NO_PERCENT} '10%'",
    "percent=nan": f"{NO_PERCENT} 'nan'",
    "percent=10 percent=20": f"{ONCE}'percent=20' is unknown or repeated",
    "rate=10": f"{ONCE}'rate=10' is unknown or repeated",
    "10": f"{ONCE}'10' is unknown or repeated",
    "clients=": f"{NO_CLIENTS} ''",
    "clients=fog,Nova,amiga": f"{NO_CLIENTS} 'Nova, amiga'",
    "window=": f"{NO_WINDOW} ''",
    "window=2027-01-31": f"{NO_WINDOW} '2027-01-31'",
    "window=now/then": f"{NO_WINDOW} 'now/then'",
    "window=2027-02-01/2027-01-31": f"{NO_TIME} '2027-02-01/2027-01-31'",
    "window=2027-02-01/2027-02-01": f"{NO_TIME} '2027-02-01/2027-02-01'",
    "percent=10 status=503": "must have status=404 or status=410, not '503'",
}


@pytest.mark.parametrize(("text", "wrong"), BAD.items())
def test_an_invalid_brownout_is_rejected(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(wrong)}$"):
        Brownout.parse(text)


@pytest.mark.parametrize(
    ("text", "family", "hour", "lot", "refused"),
    [
        ("percent=100", "fog", 9, 0.999999, True),
        ("percent=10", "fog", 9, 0.0999, True),
        ("percent=10", "fog", 9, 0.1, False),
        ("clients=fog", "fog", 9, 0.9, True),
        ("clients=fog", "goose", 9, 0.0, False),
        ("window=2027-01-31T09:00/2027-01-31T10:00", "fog", 9, 0.9, True),
        ("window=2027-01-31T09:00/2027-01-31T10:00", "fog", 10, 0.0, False),
        ("window=2027-01-31T09:00/2027-01-31T10:00", "fog", 8, 0.0, False),
        ("clients=fog percent=50 window=2027-01-31T09:00/2027-01-31T10:00", "fog", 9, 0.4, True),
        ("clients=fog percent=50 window=2027-01-31T09:00/2027-01-31T10:00", "fog", 9, 0.5, False),
    ],
)
def test_a_request_must_match_every_condition(
    text: str, family: str, hour: int, lot: float, refused: bool
) -> None:
    assert refused == Brownout.parse(text).refuses(family, at(hour), lot)


GONE = "The image calls of the compute API are being switched off. Use the image service."
NO_SUCH = "The resource could not be found."


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (410, {"computeFault": {"code": 410, "message": GONE}}),
        (404, {"itemNotFound": {"code": 404, "message": NO_SUCH}}),
    ],
)
def test_refused_requests_are_answered_and_counted(status: int, body: dict[str, Any]) -> None:
    metrics = Metrics(threads=1, backend="memory")
    settings = Settings.from_environ(
        {"SHIM_BACKEND": "memory", "SHIM_BROWNOUT": f"clients=fog,curl status={status}"}
    )
    app = create_app(settings, MemoryImageService(), accept_any_token, metrics=metrics)
    client = app.test_client()

    def get(path: str, agent: str, token: str = "demo") -> Any:
        return client.get(path, headers={"User-Agent": agent, "X-Auth-Token": token})

    for path in ("/v2/demo/images", "/v2.1/images/detail", "/v1.1/demo/images/no-such/metadata"):
        answer = get(path, "fog/1.0")
        assert (status, body) == (answer.status_code, answer.json)
    assert 200 == get("/v2/demo/images", "goose (1)").status_code
    for path in ("/", "/v2", "/v2/", "/healthcheck", "/healthcheck/ready"):
        assert 200 == get(path, "fog/1.0").status_code
    assert 401 == get("/v2/demo/images", "fog/1.0", token="").status_code
    refused = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "nova_image_shim_brownout_refusals_total"
    }
    assert {("fog",): 3.0} == refused


def test_percent_refuses_about_that_share() -> None:
    settings = Settings.from_environ({"SHIM_BACKEND": "memory", "SHIM_BROWNOUT": "percent=30"})
    client = create_app(settings, MemoryImageService(), accept_any_token).test_client()
    headers = {"X-Auth-Token": "demo"}
    statuses = [client.get("/v2/demo/images", headers=headers).status_code for _ in range(500)]
    assert {200, 410} == set(statuses)
    assert 90 < statuses.count(410) < 210  # six standard deviations
