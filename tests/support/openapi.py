"""The API's OpenAPI document, read as a client would read it: operations, and what they answer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")

# Headers of HTTP itself, of which the document says nothing.
PLAIN_HEADERS = {
    "accept-ranges",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "referrer-policy",
    "vary",
    "x-content-type-options",
}


@dataclass(frozen=True)
class Operation:
    """One method of one path under one server.

    Args:
        method: in upper case.
        path: the whole path, parameters as `{NAME}`.
        body: the operation as the document has it.
        parameters: the path's and the operation's own, references resolved.
    """

    method: str
    path: str
    body: dict[str, Any]
    parameters: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def url(self) -> str:
        """Return the path with every parameter's example, or its first value, in its place."""
        examples = {
            each["name"]: str(each.get("example") or each["schema"]["enum"][0])
            for each in self.parameters
            if each["in"] == "path"
        }
        return self.path.format(**examples)

    def query(self) -> dict[str, str]:
        """Return the query parameters that have an example."""
        return {
            each["name"]: str(each["example"])
            for each in self.parameters
            if each["in"] == "query" and each.get("example")
        }


class Document:
    """The document, with its references followed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def resolve(self, node: Any) -> Any:
        """Return a node, or what it refers to."""
        while isinstance(node, dict) and "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def operations(self) -> Iterator[Operation]:
        """Yield each operation, once for each server that it has."""
        for path, item in self.document["paths"].items():
            shared = item.get("parameters", [])
            for server in item.get("servers", self.document["servers"]):
                prefix = server["url"].removeprefix(".")
                for method in METHODS:
                    if method not in item:
                        continue
                    body = item[method]
                    own = [self.resolve(each) for each in [*shared, *body.get("parameters", [])]]
                    yield Operation(method.upper(), prefix + path, body, own)

    def schema(self, schema: dict[str, Any]) -> Draft202012Validator:
        """Return a validator of a schema that may refer into the document."""
        return Draft202012Validator({**schema, "components": self.document["components"]})

    def complaints(self, operation: Operation, answer: Any) -> list[str]:
        """Return how an answer, werkzeug's or one like it, differs from what is documented."""
        told = operation.body["responses"].get(str(answer.status_code))
        if told is None:
            return [f"status {answer.status_code} is not documented"]
        told = self.resolve(told)
        return [*self._body(told, answer), *self._headers(told, answer)]

    def _body(self, told: dict[str, Any], answer: Any) -> Iterator[str]:
        content = told.get("content")
        if content is None:
            if answer.data:
                yield "there is a body"
        elif answer.content_type not in content:
            yield f"{answer.content_type} is none of {list(content)}"
        elif "json" in answer.content_type:
            schema = content[answer.content_type]["schema"]
            yield from (str(error) for error in self.schema(schema).iter_errors(answer.json))

    def _headers(self, told: dict[str, Any], answer: Any) -> Iterator[str]:
        headers = {name.lower(): self.resolve(h) for name, h in told.get("headers", {}).items()}
        present = {name.lower(): value for name, value in answer.headers.items()}
        for name, header in headers.items():
            if name not in present:
                if header.get("required"):
                    yield f"no {name}"
            elif not re.search(header["schema"].get("pattern", ""), present[name]):
                yield f"{name}: {present[name]}"
        yield from (f"{name} is not told of" for name in present.keys() - headers - PLAIN_HEADERS)


def calls_of(app: Flask) -> set[str]:
    """Return the calls that an application routes: `GET /v2/{tenant_id}/images`, without HEAD."""
    return {
        f"{method} {path}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        for path in _paths(rule.rule)
    }


def _paths(rule: str) -> list[str]:
    """Return a rule's paths, one for each version that `any` allows."""
    allowed = re.search(r"<any\((.*?)\):\w+>", rule)
    names = re.findall(r"'(.*?)'", allowed[1]) if allowed else [""]
    rules = [re.sub(r"<any\(.*?\):\w+>", name, rule) for name in names]
    return [re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", one) for one in rules]
