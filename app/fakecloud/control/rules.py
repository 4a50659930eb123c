"""Fault rules: which requests are answered badly, how, and how often."""

import math
import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.exceptions import SCHEMA
from marshmallow.validate import Length, OneOf, Range, Regexp
from werkzeug.datastructures import Headers, MultiDict

from nova_image_shim.web.errors import HTTPError

MAX_RULES = 100
EFFECTS = ("status", "latency_seconds", "body", "close")
_STATUSES = [int(status) for status in HTTPStatus if status >= 400]
_pattern = partial(fields.String, validate=Length(1, 255))
_patterns = partial(fields.Dict, keys=_pattern(), values=_pattern(), validate=Length(1, 20))
_NO_STEPS = (SCHEMA, "key", "value")  # marshmallow's, in the path of a message


class Asked(NamedTuple):
    """What rules look at in a request: path percent-decoded, query as sent.

    `projects` are id and name of the caller's project, if there is one.
    """

    method: str
    path: str
    user_agent: str = ""
    query: str = ""
    headers: Headers = Headers()
    projects: Collection[str] = ()


class Number(fields.Field[float]):
    """A JSON number; text that looks like one is refused."""

    default_error_messages = {"invalid": "Not a valid number."}  # noqa: RUF012 - marshmallow's

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:  # noqa: ARG002
        if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
            raise self.make_error("invalid")
        return value


class RetryAfter(fields.String):
    """Seconds, or any text: how a client reads a bad `Retry-After` is worth a test, too."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        text: str = super()._deserialize(str(value) if is_number else value, *args, **kwargs)
        return text


class Query(fields.Field[str | dict[str, str]]):
    """A pattern of the whole query, or patterns of parameters by name."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | dict[str, str]:
        field = _patterns() if isinstance(value, dict) else _pattern()
        found: str | dict[str, str] = field.deserialize(value, *args, **kwargs)
        return found


class RuleSchema(Schema):
    """A rule as JSON."""

    method = fields.String(validate=Regexp(r"[A-Z]{1,20}\Z", error="Must be a method such as GET."))
    path = _pattern()
    user_agent = _pattern()
    query = Query()
    headers = _patterns()
    project = _pattern()
    status = fields.Integer(
        strict=True, validate=OneOf(_STATUSES, error="Must be an HTTP status of 400 or more.")
    )
    retry_after = RetryAfter(
        validate=Regexp(
            r"[\x21-\x7e][\x20-\x7e]{0,63}\Z", error="Must be seconds, or a text for the header."
        )
    )
    latency_seconds = Number(validate=Range(0, 60))
    body = fields.String(validate=OneOf(["cut", "garbage"]))
    close = fields.Boolean(truthy={True}, falsy=set(), error_messages={"invalid": "Must be true."})
    probability = Number(validate=Range(0, 1))
    seed = fields.Integer(strict=True, validate=Range(0, 2**53))
    skip = fields.Integer(strict=True, validate=Range(0, 10**9))
    times = fields.Integer(strict=True, validate=Range(1, 10**9))

    @validates_schema
    def check_effects(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse a rule without effect, and effects that exclude each other."""
        if not any(name in data for name in EFFECTS):
            raise ValidationError(f"a rule needs one of {', '.join(EFFECTS)}")
        if "close" in data and ("status" in data or "body" in data):
            raise ValidationError(
                "A closed connection has no response: leave out status and body.", "close"
            )
        if "retry_after" in data and "status" not in data:
            raise ValidationError("Only allowed with status.", "retry_after")
        if "seed" in data and "probability" not in data:
            raise ValidationError("Only allowed with probability.", "seed")


_SCHEMA = RuleSchema()


def load_object(schema: Schema, value: Any) -> dict[str, Any]:
    """Return the fields of a JSON object as a schema loads them.

    Raises:
        HTTPError: 400; the text names every invalid field.
    """
    try:
        return schema.load(value)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise HTTPError(400, "; ".join(_lines(error.messages))) from error


def _lines(messages: Any, path: str = "") -> Iterator[str]:
    """Yield each message after the path of its field, such as `headers.X-Id: Not a ...`."""
    if isinstance(messages, dict):
        for step, inner in messages.items():
            yield from _lines(inner, path if step in _NO_STEPS else f"{path}.{step}")
    else:
        yield from (f"{path[1:]}: {message}" if path else message for message in messages)


class Rule:
    """One active rule: its id, and its fields as `RuleSchema` loads them."""

    def __init__(self, number: int, wanted: Mapping[str, Any]) -> None:
        self.number = number
        self.wanted = wanted
        self.hits = 0
        self._matched = 0
        self._random = random.Random(wanted.get("seed", 0))  # noqa: S311 - must be repeatable

    def take(self, asked: Asked) -> bool:
        """Tell whether the rule acts on a request, and count it if so."""
        if not self._matches(asked):
            return False
        self._matched += 1
        acts: bool = (
            self._matched > self.wanted.get("skip", 0)
            and self.hits < self.wanted.get("times", self.hits + 1)
            and self._random.random() < self.wanted.get("probability", 1)
        )
        self.hits += acts
        return acts

    def _matches(self, asked: Asked) -> bool:
        wanted, query = self.wanted, self.wanted.get("query", "*")
        by_name: dict[str, str] = query if isinstance(query, dict) else {}
        parameters = MultiDict(parse_qsl(asked.query, keep_blank_values=True))
        return all(
            (
                wanted.get("method") in {None, asked.method},
                fnmatchcase(asked.path, wanted.get("path", "*")),
                fnmatchcase(asked.user_agent, wanted.get("user_agent", "*")),
                by_name or fnmatchcase(asked.query, query),
                _all_like(by_name, parameters.getlist),
                _all_like(wanted.get("headers", {}), asked.headers.getlist),
                "project" not in wanted or _any_like(asked.projects, wanted["project"]),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the rule's fields with its `id` and `hits`, how often it acted."""
        return {"id": self.number, **self.wanted, "hits": self.hits}


def _all_like(patterns: Mapping[str, str], values: Callable[[str], Iterable[str]]) -> bool:
    """Tell whether for each name one of its values matches the pattern."""
    return all(_any_like(values(name), pattern) for name, pattern in patterns.items())


def _any_like(texts: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(text, pattern) for text in texts)


class Rules:
    """The active rules in order of addition: the first that matches a request acts on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, Rule] = {}
        self._last = 0

    def add(self, wanted: Any) -> dict[str, Any]:
        """Add a rule and return it with its `id` and `hits`.

        Raises:
            HTTPError: 400; the rule is invalid, or there are 100 already.
        """
        checked = load_object(_SCHEMA, wanted)
        with self._lock:
            if len(self._rules) >= MAX_RULES:
                raise HTTPError(400, f"at most {MAX_RULES} rules are allowed: delete some first")
            self._last += 1
            rule = self._rules[self._last] = Rule(self._last, checked)
            return rule.to_dict()

    def all(self) -> list[dict[str, Any]]:
        """Return every rule with its `id` and `hits`."""
        with self._lock:
            return [rule.to_dict() for rule in self._rules.values()]

    def get(self, number: int) -> dict[str, Any]:
        """Return one rule, or raise a 404."""
        with self._lock:
            return self._find(number).to_dict()

    def remove(self, number: int) -> None:
        """Delete a rule, or raise a 404."""
        with self._lock:
            del self._rules[self._find(number).number]

    def clear(self) -> None:
        """Delete all rules."""
        with self._lock:
            self._rules.clear()

    def take(self, asked: Asked) -> Rule | None:
        """Return the rule that acts on a request, None for none, and count it."""
        with self._lock:
            return next((rule for rule in self._rules.values() if rule.take(asked)), None)

    def _find(self, number: int) -> Rule:
        if number not in self._rules:
            raise HTTPError(404, f"rule {number} does not exist")
        return self._rules[number]
