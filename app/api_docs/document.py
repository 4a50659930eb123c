"""Prepare the OpenAPI document for serving: only enabled API versions, no YAML helpers."""

from functools import cache
from importlib import metadata, resources
from typing import Any

import yaml


@cache
def load_document(mounts: tuple[str, ...]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of API versions such as `("v1.1", "v2", "v2.1")`."""
    text = (resources.files(__package__) / "openapi.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    served = {".", *(f"./{mount}" for mount in mounts)}
    document = {key: value for key, value in document.items() if not key.startswith("x-")}
    document["info"]["version"] = metadata.version("nova-image-shim")
    document["servers"] = _served(document["servers"], served)
    document["paths"] = {
        path: item
        for path, item in document["paths"].items()
        if "servers" not in item or _served(item["servers"], served)
    }
    document["components"]["parameters"]["mount"]["schema"]["enum"] = list(mounts)
    return document


def _served(servers: list[dict[str, str]], urls: set[str]) -> list[dict[str, str]]:
    return [server for server in servers if server["url"] in urls]
