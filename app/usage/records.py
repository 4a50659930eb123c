"""The record of one call, made from the fields of its access line."""

from datetime import datetime
from typing import Any, NamedTuple

_LONGEST_FIELD = 128


class AccessRecord(NamedTuple):
    """One call, from its access line.

    Args:
        time: `YYYY-MM-DD HH:MM:SS`, in the time zone of the line.
        client, version: the client's family and version, which is empty if unknown.
        project, user: ids, `-` for an unknown caller.
        call: such as `images.detail`.
        status: the answer's status.
        images: the number of images in a list; 0 for any other answer.
    """

    time: str
    client: str
    version: str
    project: str
    user: str
    call: str
    status: int
    images: int


def to_record(*fields: str) -> AccessRecord:
    """Return the record of a line's fields: time, user, project, status, call, images, client.

    Raises:
        ValueError: the time, the status or the number of images is not one.
    """
    time, user, project, status, call, images, client = [field[:_LONGEST_FIELD] for field in fields]
    moment = f"{time[:10]} {time[11:19]}"
    datetime.fromisoformat(moment)
    family, _, version = client.partition("/")
    listed = 0 if images == "-" else int(images)
    return AccessRecord(moment, family, version, project, user, call, int(status), listed)


def from_json(entry: dict[str, Any]) -> AccessRecord:
    """Return the record of an entry of the service's JSON log.

    Raises:
        KeyError, TypeError, ValueError: it is not the entry of a call.
    """
    extra, context = entry["extra"], entry["context"]
    who = (context["user_id"], context["project_id"])
    what = (extra["status"], extra["call"], extra["images"], extra["client"])
    return to_record(*map(str, (entry["asctime"], *who, *what)))
