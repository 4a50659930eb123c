"""Compare two services request by request, and judge each difference."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nova_image_shim.compare.differences import Answer, differences, normal
from nova_image_shim.compare.intended import File
from nova_image_shim.compare.plan import Plan, Planned
from nova_image_shim.compare.sides import Side

SAME, INTENDED, UNEXPECTED, CHANGING = VERDICTS = ("same", "intended", "unexpected", "changing")
MOST_FAILURES = 5
_TRIES = 3
_MOST_FIELDS = 50  # of one request, that are kept
_MOST_ANSWERS = 100  # pairs that are kept
_LONGEST_VALUE = 2000
_LONGEST_BODY = 2**17
_LEFT_OUT = "(left out)"


class Found(NamedTuple):
    """A difference: both values as text, and the reason's id if it is intended."""

    field: str
    nova: str
    shim: str
    reason: str | None


class Result(NamedTuple):
    """What became of a request.

    Args:
        verdict: one of `VERDICTS`.
        fields: the differences, the unexpected ones first.
        seconds: that Nova and the service took.
        answers: of both, as text, if they differ unexpectedly.
    """

    kind: str
    request: str
    verdict: str
    fields: list[Found]
    seconds: tuple[float, float]
    answers: list[str]


class Comparison:
    """The results so far, and what makes more of them.

    Args:
        nova, shim: the two services.
        plan: the requests.
        intended: the differences that are intended.
        bodies: whether to keep bodies and values in them.
    """

    def __init__(
        self, nova: Side, shim: Side, plan: Plan, intended: File, *, bodies: bool = True
    ) -> None:
        self.sides = nova, shim
        self.plan = plan
        self.intended = intended
        self.results: list[Result] = []
        self.sent_again = 0  # requests that differed at first
        self.incomplete = ""  # why not everything was compared
        self._bodies = bodies
        self._names = dict.fromkeys((nova.base, shim.base), "http://compute")

    def begin(self) -> None:
        """Learn the addresses in the links of both, by a list of one image.

        Raises:
            CannotCompareError: one of them does not return a list.
        """
        request = f"GET /{self.plan.mount}/{self.plan.project}/images/detail?limit=1"
        for side in self.sides:
            answer, _ = side.ask(request)
            try:
                for image in json.loads(answer.body)["images"]:
                    self._names |= _addresses(image, self.plan.mount, self.plan.project)
            except Exception as error:
                raise side.fails(f"returns {answer.status}, not a list of images") from error
        # One address may begin like another one.
        self._names = dict(sorted(self._names.items(), reverse=True))

    def run(self, most: int, tell: Callable[["Comparison"], None]) -> None:
        """Compare until nothing is left, or so many requests are sent; `tell` after each.

        Raises:
            CannotCompareError: a service fails again and again, the token expires, or Nova's list
                is not one.
        """
        nova, _ = self.sides
        while self.plan:
            if nova.requests >= most:
                self.incomplete = f"{most} requests were sent, as many as --requests allows"
                return
            planned = self.plan.pop()
            answer = self._compare(planned)
            tell(self)
            self._require_answers()
            if answer.status == 401:  # both would refuse everything from now on, and so be equal
                raise nova.fails("no longer accepts the token")
            try:
                self.plan.learn(planned, answer)
            except Exception as error:
                words = f"returns {answer.status} to {planned.request}, not a list of images"
                raise nova.fails(words) from error

    def count(self, verdict: str) -> int:
        """Return how many requests have a verdict."""
        return sum(result.verdict == verdict for result in self.results)

    def _compare(self, planned: Planned) -> Answer:
        """Send a request to both; where they differ, send it again before that counts.

        A difference counts if Nova's answer is the same before and after the service's; otherwise
        the cloud has changed meanwhile.
        """
        (nova, nova_seconds), (shim, shim_seconds) = self._ask(planned)
        verdict, fields = self._judge(planned, nova, shim)
        for left in reversed(range(_TRIES)):
            if verdict != UNEXPECTED:
                break
            before, ((nova, _), (shim, _)) = nova, self._ask(planned)
            self.sent_again += 1
            verdict, fields = self._judge(planned, nova, shim)
            if self._normal(before) == self._normal(nova):
                break
            if verdict == UNEXPECTED and not left:
                verdict = CHANGING
        is_kept = verdict == UNEXPECTED and self.count(UNEXPECTED) < _MOST_ANSWERS
        answers = [self._shown(answer) for answer in (nova, shim)] if is_kept else []
        seconds = nova_seconds, shim_seconds
        self.results.append(Result(*planned, verdict, fields, seconds, answers))
        return nova

    def _ask(self, planned: Planned) -> Iterator[tuple[Answer, float]]:
        return (side.ask(planned.request) for side in self.sides)

    def _normal(self, answer: Answer) -> dict[str, Any]:
        return normal(answer, self._names)

    def _judge(self, planned: Planned, nova: Answer, shim: Answer) -> tuple[str, list[Found]]:
        values = differences(self._normal(nova), self._normal(shim))
        reasons = self.intended.explain(planned.request, (nova.status, shim.status), values)
        found = [self._found(name, *values[name], reason) for name, reason in reasons.items()]
        found.sort(key=lambda each: each.reason is not None)
        if not found:
            return SAME, found
        return (INTENDED if found[0].reason else UNEXPECTED), found[:_MOST_FIELDS]

    def _found(self, field: str, nova: Any, shim: Any, reason: str | None) -> Found:
        if field.startswith("body") and not self._bodies:
            nova = shim = _LEFT_OUT
        return Found(field, _text(nova), _text(shim), reason)

    def _require_answers(self) -> None:
        for side in self.sides:
            if self.results[-1].verdict == INTENDED:  # such as an image for which Nova fails
                side.failures = 0
            if side.failures >= MOST_FAILURES:
                raise side.fails(f"fails {side.failures} times in a row")

    def _shown(self, answer: Answer) -> str:
        """Return an answer as text, with its body if bodies are kept."""
        head = [str(answer.status), *(f"{name}: {value}" for name, value in answer.headers)]
        body = _readable(answer.body) if self._bodies else _LEFT_OUT
        return "\n".join([*head, "", body])


def _addresses(image: dict[str, Any], mount: str, project: str) -> Iterator[tuple[str, str]]:
    """Yield the start of an image's `self` and `alternate` links, and the name for it."""
    links = {link["rel"]: link["href"] for link in image["links"]}
    compute, found, _ = links.get("self", "").partition(f"/{mount}/{project}/")
    if found:
        yield compute, "http://compute"
    path = rf"(.+?)/*(?:/{re.escape(project)})?/images/{re.escape(image['id'])}"
    if alternate := re.fullmatch(path, links.get("alternate", "")):
        yield alternate[1], "http://glance"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _readable(body: bytes) -> str:
    try:
        text = json.dumps(json.loads(body), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")
    return text[:_LONGEST_BODY]
