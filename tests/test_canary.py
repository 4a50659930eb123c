"""The search that every live service's log goes through finds what it is to find."""

from __future__ import annotations

import canary
import pytest
from fakes import token_of

ENVIRON = {"OS_PASSWORD": "pass.word", "OS_USERNAME": "nova-image-shim"}


@pytest.mark.parametrize(
    "secret", [token_of("demo"), "gAAAAAB" + "x-_Y" * 20, "pass.word", f"%20{token_of('a%2Fb')}"]
)
def test_a_secret_is_found_wherever_it_stands(secret: str) -> None:
    with pytest.raises(AssertionError, match="a secret is in the logs: line 1"):
        canary.search("logs", f"line 1\n{{'X-Auth-Token': '{secret}'}}\n", ENVIRON)


def test_what_is_none_is_let_be() -> None:
    canary.search("logs", "passXword demo nova-image-shim *** gAAAA token-0123", ENVIRON)
