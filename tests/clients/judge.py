"""Compare the objects that a client returned with the existing images."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .world import Task

Seen = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """Finds differences between a client's results and the expected ones.

    Args:
        images: all images with Nova's field names, newest first.
        task: the client's task.
        steps: the steps that the client must report, with the expected fields of its images, or
            the client's text for a missing image.
    """

    images: list[dict[str, Any]]
    task: Task
    steps: Mapping[str, Any]

    def complaints(self, seen: list[Seen]) -> list[str]:
        """Return a line for each difference."""
        found = []
        done = [step["step"] for step in seen]
        if set(done) != self.steps.keys():
            found.append(f"steps: {sorted(set(done))} instead of {sorted(self.steps)}")
        for step in seen:
            check = CHECKS[step["step"]]
            found += [f"{step['step']}: {line}" for line in check(self, step)]
        return found

    def ids(self) -> list[str]:
        """Return all ids, newest first."""
        return [image["id"] for image in self.images]

    def list(self, step: Seen) -> Iterator[str]:
        """Check that every image is listed once and correctly."""
        yield from same_ids(self.ids(), [image["id"] for image in step["images"]])
        yield from self._fields(step)

    def show(self, step: Seen) -> Iterator[str]:
        """Check that the requested images are shown correctly."""
        yield from differs(self.task.show, [image["id"] for image in step["images"]])
        yield from self._fields(step)

    def _fields(self, step: Seen) -> Iterator[str]:
        expected = {image["id"]: image for image in self.images}
        for image in step["images"]:
            for field in self.steps[step["step"]]:
                value = image.get(field)
                if field == "links":
                    yield from self._links(image["id"], value)
                elif text(expected[image["id"]][field]) != text(value):
                    name = expected[image["id"]]["name"]
                    yield f"{name}: {field} is {value!r}, not {expected[image['id']][field]!r}"

    def _links(self, image_id: str, links: Any) -> Iterator[str]:
        rels = [link["rel"] for link in links or ()]
        yield from differs(["self", "bookmark", "alternate"], rels)
        yield from (f"link {link}" for link in links or () if image_id not in link["href"])

    def page(self, step: Seen) -> Iterator[str]:
        """Check that paging yields every image once and in order, with a call for each page."""
        yield from differs(self.ids(), step["ids"])
        if "calls" in step and step["calls"] < len(self.images) / self.task.page_size:
            yield f"only {step['calls']} calls"

    def filter(self, step: Seen) -> Iterator[str]:
        """Check that a filter yields exactly the matching images."""
        expected = [
            image["id"]
            for image in self.images
            if all(image[field] == value for field, value in step["by"].items())
        ]
        yield from (f"by {step['by']}: {line}" for line in same_ids(expected, step["ids"]))

    def error(self, step: Seen) -> Iterator[str]:
        """Check the client's error message for a missing image."""
        expected = self.steps[step["step"]].replace("{unknown}", self.task.unknown)
        yield from differs(expected, step["error"])

    def metadata(self, step: Seen) -> Iterator[str]:
        """Check that metadata is set and deleted without changing other items.

        A client may lack a call to read or to delete metadata.
        """
        before = next(i["metadata"] for i in self.images if i["id"] == self.task.change)
        yield from differs(before, step.get("before", before))
        yield from differs({**before, **self.task.set}, step["after_set"])
        yield from differs(before, step.get("after_delete", before))

    def delete(self, step: Seen) -> Iterator[str]:
        """Check that only the deleted image is missing."""
        left = [image_id for image_id in self.ids() if image_id != self.task.delete]
        yield from same_ids(left, step["left"])

    def version(self, step: Seen) -> Iterator[str]:
        """Check that the client reports the version of the endpoint in the catalog."""
        yield from differs(self.steps["version"], step["version"])


CHECKS: dict[str, Callable[[Judge, Seen], Iterator[str]]] = {
    "list": Judge.list,
    "brief": Judge.list,
    "page": Judge.page,
    "filter": Judge.filter,
    "show": Judge.show,
    "missing": Judge.error,
    "bad marker": Judge.error,
    "metadata": Judge.metadata,
    "delete": Judge.delete,
    "version": Judge.version,
}


def text(value: Any) -> Any:
    """Return a value as shown by clients that have only text."""
    if isinstance(value, dict):
        return {key: str(item) for key, item in value.items()}
    return str(value)


def differs(expected: Any, actual: Any) -> Iterator[str]:
    """Yield a line if two values differ."""
    if expected != actual:
        yield f"{actual!r} instead of {expected!r}"


def same_ids(expected: list[str], actual: list[str]) -> Iterator[str]:
    """Yield a line unless both have the same unique ids; the order may differ."""
    if sorted(expected) != sorted(actual):
        missing, unknown = set(expected) - set(actual), set(actual) - set(expected)
        yield (
            f"{len(actual)} ids instead of {len(expected)}; "
            f"missing {sorted(missing)[:3]}, unexpected {sorted(unknown)[:3]}"
        )
