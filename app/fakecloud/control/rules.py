"""Fault rules: which requests are answered badly, how, and how often."""

import math
import random
import re
import threading
from collections.abc import Mapping
from fnmatch import translate
from http import HTTPStatus
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.exceptions import SCHEMA
from marshmallow.validate import Length, OneOf, Range, Regexp

from nova_image_shim.web.errors import HTTPError

MAX_RULES = 100
EFFECTS = ("status", "latency_seconds", "body", "close")
_STATUSES = [int(status) for status in HTTPStatus if status >= 400]
_GLOB = Length(1, 255)


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


class RuleSchema(Schema):
    """A rule as JSON."""

    method = fields.String(validate=Regexp(r"[A-Z]{1,20}\Z", error="Must be a method such as GET."))
    path = fields.String(validate=_GLOB)
    user_agent = fields.String(validate=_GLOB)
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
        texts = [
            text if name == SCHEMA else f"{name}: {text}"
            for name, messages in error.messages_dict.items()
            for text in messages
        ]
        raise HTTPError(400, "; ".join(texts)) from error


class Rule:
    """One active rule: its id, and its fields as `RuleSchema` loads them."""

    def __init__(self, number: int, wanted: Mapping[str, Any]) -> None:
        self.number = number
        self.wanted = wanted
        self.hits = 0
        self._random = random.Random(wanted.get("seed", 0))  # noqa: S311 - must be repeatable
        self._path = re.compile(translate(wanted.get("path", "*")))
        self._user_agent = re.compile(translate(wanted.get("user_agent", "*")))

    def take(self, method: str, path: str, user_agent: str) -> bool:
        """Tell whether the rule acts on a request, and count it if so."""
        acts = (
            self.hits < self.wanted.get("times", self.hits + 1)
            and method == self.wanted.get("method", method)
            and self._path.match(path) is not None
            and self._user_agent.match(user_agent) is not None
            and self._random.random() < self.wanted.get("probability", 1)
        )
        self.hits += acts
        return acts

    def to_dict(self) -> dict[str, Any]:
        """Return the rule's fields with its `id` and `hits`, how often it acted."""
        return {"id": self.number, **self.wanted, "hits": self.hits}


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

    def take(self, method: str, path: str, user_agent: str) -> Rule | None:
        """Return the rule that acts on a request, None for none, and count it."""
        with self._lock:
            rules = self._rules.values()
            return next((rule for rule in rules if rule.take(method, path, user_agent)), None)

    def _find(self, number: int) -> Rule:
        if number not in self._rules:
            raise HTTPError(404, f"there is no rule {number}")
        return self._rules[number]
