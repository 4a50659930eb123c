"""Judge what a client's own objects held against the images that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .world import Task

Seen = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """What is so, and the complaints about a client that saw it otherwise.

    Args:
        images: all there are, by Nova's names, newest first.
        task: what the client was told to do.
        steps: the steps that the client must have reported, each with what is wanted of it: the
            fields of its images, or the text in which the client says that there is no image.
    """

    images: list[dict[str, Any]]
    task: Task
    steps: Mapping[str, Any]

    def complaints(self, seen: list[Seen]) -> list[str]:
        """Return a line for each thing that is not as it must be; none where all is well."""
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
        """Every image once, and each as it is."""
        yield from same_ids(self.ids(), [image["id"] for image in step["images"]])
        yield from self._fields(step)

    def show(self, step: Seen) -> Iterator[str]:
        """The images that were asked for, each as it is."""
        yield from differs(self.task.show, [image["id"] for image in step["images"]])
        yield from self._fields(step)

    def _fields(self, step: Seen) -> Iterator[str]:
        wanted = {image["id"]: image for image in self.images}
        for image in step["images"]:
            for field in self.steps[step["step"]]:
                value = image.get(field)
                if field == "links":
                    yield from self._links(image["id"], value)
                elif text(wanted[image["id"]][field]) != text(value):
                    name = wanted[image["id"]]["name"]
                    yield f"{name}: {field} is {value!r}, not {wanted[image['id']][field]!r}"

    def _links(self, image_id: str, links: Any) -> Iterator[str]:
        rels = [link["rel"] for link in links or ()]
        yield from differs(["self", "bookmark", "alternate"], rels)
        yield from (f"link {link}" for link in links or () if image_id not in link["href"])

    def page(self, step: Seen) -> Iterator[str]:
        """Every image once, in order, in no fewer calls than there are pages."""
        yield from differs(self.ids(), step["ids"])
        if "calls" in step and step["calls"] < len(self.images) / self.task.page_size:
            yield f"only {step['calls']} calls"

    def filter(self, step: Seen) -> Iterator[str]:
        """The images that match, and no other."""
        wanted = [
            image["id"]
            for image in self.images
            if all(image[field] == value for field, value in step["by"].items())
        ]
        yield from (f"by {step['by']}: {line}" for line in same_ids(wanted, step["ids"]))

    def error(self, step: Seen) -> Iterator[str]:
        """The client's own words for what there is not."""
        wanted = self.steps[step["step"]].replace("{unknown}", self.task.unknown)
        yield from differs(wanted, step["error"])

    def metadata(self, step: Seen) -> Iterator[str]:
        """What was set is there beside what was; what was deleted is gone.

        A client may have no call to read metadata, or none to delete it.
        """
        before = next(i["metadata"] for i in self.images if i["id"] == self.task.change)
        yield from differs(before, step.get("before", before))
        yield from differs({**before, **self.task.set}, step["after_set"])
        yield from differs(before, step.get("after_delete", before))

    def delete(self, step: Seen) -> Iterator[str]:
        """All but the deleted image are left."""
        left = [image_id for image_id in self.ids() if image_id != self.task.delete]
        yield from same_ids(left, step["left"])

    def version(self, step: Seen) -> Iterator[str]:
        """The version that the endpoint of the catalog says it is."""
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
    """Return a value as the clients that know no numbers show it."""
    if isinstance(value, dict):
        return {key: str(item) for key, item in value.items()}
    return str(value)


def differs(wanted: Any, actual: Any) -> Iterator[str]:
    """Yield a line unless both are the same."""
    if wanted != actual:
        yield f"{actual!r} instead of {wanted!r}"


def same_ids(wanted: list[str], actual: list[str]) -> Iterator[str]:
    """Yield a line unless the same ids are in both, once each; some clients sort them."""
    if sorted(wanted) != sorted(actual):
        missing, unknown = set(wanted) - set(actual), set(actual) - set(wanted)
        yield (
            f"{len(actual)} ids instead of {len(wanted)}; "
            f"missing {sorted(missing)[:3]}, unexpected {sorted(unknown)[:3]}"
        )
