"""Check the harness itself and time each step: `python tests/real/selfcheck.py`."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real.cloud import RealCloud

VISIBILITIES = ("public", "community", "shared", "private")
ROWS = 1203


class SelfCheckError(Exception):
    """The harness does not work as documented."""


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Print the duration of a step after it has succeeded."""
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:8.3f} s  {step}", flush=True)


def main() -> None:
    """Run all steps.

    Raises:
        SelfCheckError: a step failed.
    """
    cloud = RealCloud()
    with timed("everything, from start to end"):
        with timed("start"):
            cloud.__enter__()
        try:
            check_images(cloud)
            check_many_images(cloud)
            check_parallel(cloud)
            check_tokens(cloud)
            check_processes(cloud)
        finally:
            with timed("end"):
                cloud.__exit__()
        expect("folder left behind", False, cloud.folder.exists())


def expect(what: str, expected: object, actual: object) -> None:
    """Raise SelfCheckError if two values differ."""
    if expected != actual:
        raise SelfCheckError(f"{what}: {actual!r}, not {expected!r}")


def check_images(cloud: RealCloud) -> None:
    """Check that the owner and another project see the right images of each kind."""
    with timed("create an image of each visibility, and one of each other kind"):
        for visibility in VISIBILITIES:
            cloud.create_image("admin", name=visibility, visibility=visibility)
        for status in ("pending", "accepted", "rejected"):
            cloud.create_image("demo", name=status, members={"alt": status})
        cloud.create_image("demo", name="queued", data=None, kernel_id=None)
        off = cloud.create_image("demo", name="deactivated", deactivate=True)
    expect("status", "deactivated", cloud.get_image("demo", off["id"])["status"])
    with timed("list as demo and as alt"):
        demo, alt = (names(list_images(cloud, user)) for user in ("demo", "alt"))
    own = {"pending", "accepted", "rejected", "queued", "deactivated"}
    expect("demo's list", own | {"public"}, demo)
    expect("alt's list", {"public", "accepted"}, alt)
    with timed("purge"):
        cloud.purge_images()
    expect("list after purge", [], list_images(cloud, "admin"))


def check_many_images(cloud: RealCloud) -> None:
    """Check that images inserted into the database can be listed in pages."""
    with timed(f"insert {ROWS} rows"):
        ids = cloud.insert_images("demo", ROWS, prefix="many", tags=["t"], os_distro="debian")
    with timed("page through them by 1000"), cloud.counting() as calls:
        listed = list_images(cloud, "demo")
    expect("ids", sorted(ids), sorted(image["id"] for image in listed))
    expect("order", sorted(listed, key=newest_first, reverse=True), listed)
    expect("a property", {"debian"}, {image["os_distro"] for image in listed})
    expect("calls", [200, 200], [call.status for call in calls.glance])
    cloud.purge_images()
    cloud.insert_images("demo", 3, prefix="odd", status="killed")
    expect("a list of killed images", [], list_images(cloud, "demo"))
    cloud.purge_images()


def check_parallel(cloud: RealCloud) -> None:
    """Check that Glance serves reads and writes of several clients at once."""
    with timed("create 40 images in 8 threads"), ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(cloud.create_image, "demo", name=f"p{n}") for n in range(40)]
        for job in jobs:
            job.result()
    expect("parallel images", 40, len(list_images(cloud, "demo")))
    cloud.purge_images()


def check_tokens(cloud: RealCloud) -> None:
    """Check that tokens are valid, can be revoked immediately, and expire."""
    with timed("issue, validate, revoke and validate a token"):
        token = cloud.token("demo")
        expect("a new token's validity", True, cloud.validates(token))
        cloud.revoke(token)
        expect("a revoked token's validity", False, cloud.validates(token))
    unscoped = cloud.unscoped_token("demo")
    expect("an unscoped token's list", 403, glance_status(cloud, unscoped))
    with timed("issue a token of 2 s, Keystone for it included"):
        short = cloud.short_token("demo", 2)
    expect("a short token's validity", True, cloud.validates(short))
    time.sleep(2.5)
    expect("an expired token's validity", False, cloud.validates(short))
    expect("an expired token's list", 401, glance_status(cloud, short))


def check_processes(cloud: RealCloud) -> None:
    """Check that each service can be stopped and frozen without losing tokens or images."""
    token = cloud.token("demo")
    cloud.create_image("demo", name="kept")
    for name in ("memcached", "glance", "keystone"):
        with timed(f"stop {name}"):
            getattr(cloud, f"stop_{name}")()
        if name == "memcached":
            expect("list without memcached", 200, glance_status(cloud, token))
            expect("validity without memcached", True, cloud.validates(token))
        with timed(f"start {name}"):
            getattr(cloud, f"start_{name}")()
        expect(f"list after {name} came back", {"kept"}, names(list_images(cloud, "demo")))
    cloud.freeze_glance()
    expect("a frozen Glance", None, glance_status(cloud, token))
    cloud.thaw_glance()
    expect("a thawed Glance", 200, glance_status(cloud, token))
    cloud.freeze_keystone()
    cloud.thaw_keystone()
    expect("validity after the thaw", True, cloud.validates(token))


def list_images(cloud: RealCloud, user: str) -> list[dict[str, Any]]:
    """List images in pages of 1000, as a client does."""
    session = cloud.session(user)
    images: list[dict[str, Any]] = []
    path = "/v2/images?limit=1000"
    while path:
        body = session.get(cloud.glance_url + path).json()
        images += body["images"]
        path = body.get("next", "")
    return images


def names(images: list[dict[str, Any]]) -> set[str]:
    """Return the images' names."""
    return {image["name"] for image in images}


def newest_first(image: dict[str, Any]) -> tuple[str, str]:
    """Return the key by which Glance sorts lists in descending order."""
    return image["created_at"], image["id"]


def glance_status(cloud: RealCloud, token: str) -> int | None:
    """Return the status of a list with a token; None if Glance does not answer within a second."""
    headers = {"X-Auth-Token": token}
    try:
        with requests.Session() as http:
            http.trust_env = False
            url = f"{cloud.glance_url}/v2/images"
            return http.get(url, headers=headers, timeout=1).status_code
    except requests.Timeout:
        return None


if __name__ == "__main__":
    main()
