"""Settings as they are given, before they are read: from where, and which of two counts."""

from dataclasses import dataclass, field

VERIFIED = "certificates are always verified. Set OS_CACERT to trust another authority"
# A setting hides its alternatives in the layers below.
_OTHER_LOGINS = {"OS_AUTH_TYPE", "OS_APPLICATION_CREDENTIAL_ID"}
_HIDES = {
    "OS_USERNAME": {"OS_USER_ID", *_OTHER_LOGINS},
    "OS_USER_ID": {"OS_USERNAME", *_OTHER_LOGINS},
    "OS_PROJECT_NAME": {"OS_PROJECT_ID"},
    "OS_PROJECT_ID": {"OS_PROJECT_NAME"},
    "OS_USER_DOMAIN_NAME": {"OS_USER_DOMAIN_ID"},
    "OS_USER_DOMAIN_ID": {"OS_USER_DOMAIN_NAME"},
    "OS_PROJECT_DOMAIN_NAME": {"OS_PROJECT_DOMAIN_ID"},
    "OS_PROJECT_DOMAIN_ID": {"OS_PROJECT_DOMAIN_NAME"},
    "OS_APPLICATION_CREDENTIAL_ID": {"OS_AUTH_TYPE"},
}


class SourceError(Exception):
    """A source of settings cannot be read; the text says why and quotes no value."""


@dataclass(frozen=True, slots=True)
class Given:
    """The settings of one source, or of several, one above the other.

    Args:
        texts: setting to text.
        origins: setting to its place, such as `[group] option of FILE`; the environment has none.
        notes: what is ignored, a sentence each, for the log.
    """

    texts: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, setting: str, text: str, origin: str) -> None:
        """Add a setting, unless it is given; a contradiction is noted."""
        if setting not in self.texts:
            self.texts[setting], self.origins[setting] = text, origin
        elif text != self.texts[setting]:
            self._ignore(origin, setting)

    def above(self, lower: "Given") -> "Given":
        """Return both; where both have a setting, or alternatives, this one's counts."""
        both = Given(dict(self.texts), dict(self.origins), [*self.notes, *lower.notes])
        hidden = {other: name for name in self.texts for other in _HIDES.get(name, ())}
        for setting, text in lower.texts.items():
            if setting in hidden and setting not in self.texts:
                both._ignore(lower.origins[setting], hidden[setting])
            else:
                both.add(setting, text, lower.origins[setting])
        return both

    def _ignore(self, origin: str, winner: str) -> None:
        where = self.origins.get(winner, winner)
        self.notes.append(f"{origin} is ignored: {where} takes precedence.")
