"""What of a run is published: medians and spreads, never raw samples."""

import json
from typing import Any

from bench.figures import Figure

Found = dict[str, Any]

# What tells a row from another; the rest are figures.
_KEYS = ("contestant", "images", "clients", "way", "workers")


def summary(found: Found) -> Found:
    """Return a run's results, each series of rounds as its median and its spread."""
    return {name: _summary(value) for name, value in found.items()}


def _summary(value: Any) -> Any:
    if isinstance(value, dict):  # by contestant
        return {name: _summary(part) for name, part in value.items()}
    if isinstance(value, list) and value:
        return _rows(value) if isinstance(value[0], dict) else _figure(value)
    return value


def _rows(samples: list[Found]) -> list[Found]:
    """Return a row for each contestant and load."""
    groups: dict[tuple[Any, ...], list[Found]] = {}
    for sample in samples:
        groups.setdefault(tuple(sample.get(key) for key in _KEYS), []).append(sample)
    return [
        {
            **{key: value for key, value in zip(_KEYS, group, strict=True) if value is not None},
            **{
                field: _figure([float(one[field]) for one in rounds])
                for field in rounds[0]
                if field not in _KEYS
            },
        }
        for group, rounds in groups.items()
    ]


def dump(published: Found) -> str:
    """Return it as JSON with one line for each row."""
    parts = (f"{json.dumps(name)}: {_dump(value)}" for name, value in published.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _dump(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"


def _figure(values: list[float]) -> list[float]:
    """Return a series' median and its spread, half the distance between its quartiles."""
    figure = Figure.of(values)
    return [float(f"{figure.value:.5g}"), float(f"{figure.noise:.3g}")]
