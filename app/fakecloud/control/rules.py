"""Fault rules: which requests are answered badly, how, and how often."""

from __future__ import annotations

import random
import re
import threading
from fnmatch import translate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from marshmallow.exceptions import SCHEMA

from nova_image_shim.fakecloud.control.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_RULES = 100
MOST_LATENCY_SECONDS = 60
STATUSES = [int(status) for status in HTTPStatus if status >= 400]
EFFECTS = ("status", "latency_seconds", "body", "close")


class Number(fields.Field[float]):
    """A JSON number within bounds; text that looks like one is none.

    Args:
        low, high: the bounds, both allowed.
        whole: whether it has to be a whole one.
    """

    def __init__(self, low: float, high: float, *, whole: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kinds = int if whole else int | float
        self._low, self._high = low, high
        self._text = f"a {'whole ' if whole else ''}number from {low} to {high}"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:  # noqa: ARG002
        is_number = isinstance(value, self._kinds) and not isinstance(value, bool)
        if not is_number or not self._low <= value <= self._high:
            raise ValidationError(f"allowed is {self._text}")
        return value  # type: ignore[no-any-return]


class RetryAfter(fields.Field[str]):
    """Seconds, or any text: what a client makes of a bad `Retry-After` is worth a test, too."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:  # noqa: ARG002
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not re.fullmatch(r"[\x21-\x7e][\x20-\x7e]{0,63}", text):
            raise ValidationError("allowed is a whole number of seconds, or a text for the header")
        return text


_GLOB = validate.Length(1, 255, error="allowed is a pattern of 1 to 255 characters")


class StrictSchema(Schema):
    """A JSON object in which nothing may stand but the fields that are named."""

    error_messages = {  # noqa: RUF012 - as marshmallow declares it
        "unknown": "there is no such field",
        "type": "a JSON object is wanted",
    }

    def checked(self, value: Any) -> dict[str, Any]:
        """Return the fields that were given.

        Raises:
            Refused: some are wrong; the text names each.
        """
        try:
            return self.load(value)  # type: ignore[no-any-return]
        except ValidationError as error:
            found: Any = error.messages_dict
            texts = [
                text if name == SCHEMA else f"{name}: {text}"
                for name, messages in found.items()
                for text in messages
            ]
            raise Refused("; ".join(texts)) from error


class RuleSchema(StrictSchema):
    """A rule as JSON."""

    method = fields.String(
        validate=validate.Regexp(r"[A-Z]{1,20}\Z", error="allowed is a method such as GET")
    )
    path = fields.String(validate=_GLOB)
    user_agent = fields.String(validate=_GLOB)
    status = fields.Integer(
        strict=True,
        validate=validate.OneOf(STATUSES, error="allowed is an HTTP status of 400 or more"),
    )
    retry_after = RetryAfter()
    latency_seconds = Number(0, MOST_LATENCY_SECONDS)
    body = fields.String(
        validate=validate.OneOf(["cut", "garbage"], error="allowed is cut or garbage")
    )
    close = fields.Boolean(
        truthy={True}, falsy=set(), error_messages={"invalid": "allowed is true"}
    )
    probability = Number(0, 1)
    seed = Number(0, 2**53, whole=True)
    times = Number(1, 10**9, whole=True)

    @validates_schema
    def check_effects(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse what would do nothing, or cannot go together."""
        if not any(name in data for name in EFFECTS):
            raise ValidationError(f"a rule needs one of {', '.join(EFFECTS)}")
        if "close" in data and ("status" in data or "body" in data):
            raise ValidationError(
                "a closed connection has no answer: leave out status and body", "close"
            )
        if "retry_after" in data and "status" not in data:
            raise ValidationError("goes with status only", "retry_after")
        if "seed" in data and "probability" not in data:
            raise ValidationError("goes with probability only", "seed")


_SCHEMA = RuleSchema()


class Rule:
    """One rule in force.

    Args:
        number: its id.
        wanted: what `RuleSchema` let pass: the fields that were given, and no others.
    """

    def __init__(self, number: int, wanted: Mapping[str, Any]) -> None:
        self.number = number
        self.wanted = wanted
        self.hits = 0
        self._random = random.Random(wanted.get("seed", 0))  # noqa: S311 - to be repeated
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

    def shown(self) -> dict[str, Any]:
        """Return the rule as it was given, with its `id` and how often it acted, `hits`."""
        return {"id": self.number, **self.wanted, "hits": self.hits}


class Rules:
    """The rules in force, in the order in which they were added: the first that acts is the one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, Rule] = {}
        self._last = 0

    def add(self, wanted: Any) -> dict[str, Any]:
        """Add a rule and return it as shown.

        Raises:
            Refused: it is none, or there are 100 already; the text says what is wrong.
        """
        checked = _SCHEMA.checked(wanted)
        with self._lock:
            if len(self._rules) >= MOST_RULES:
                raise Refused(f"allowed are {MOST_RULES} rules: delete some first")
            self._last += 1
            rule = self._rules[self._last] = Rule(self._last, checked)
            return rule.shown()

    def shown(self) -> list[dict[str, Any]]:
        """Return all rules as shown."""
        with self._lock:
            return [rule.shown() for rule in self._rules.values()]

    def remove(self, number: int) -> None:
        """Take a rule away.

        Raises:
            KeyError: there is none of this id.
        """
        with self._lock:
            del self._rules[number]

    def clear(self) -> None:
        """Take all rules away."""
        with self._lock:
            self._rules.clear()

    def take(self, method: str, path: str, user_agent: str) -> Rule | None:
        """Return the rule that acts on a request, None for none, and count it."""
        with self._lock:
            for rule in self._rules.values():
                if rule.take(method, path, user_agent):
                    return rule
        return None
