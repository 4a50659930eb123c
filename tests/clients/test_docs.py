"""docs/reference/clients.md lists exactly the tested clients."""

import re

from support.paths import ROOT

from .table import CLIENTS, MORE_CLIENTS

ROW = re.compile(r"^\| (.+?) \| (Python|Node|Go|Ruby|Perl)\b", re.MULTILINE)


def test_every_client_has_a_row() -> None:
    rows = ROW.findall((ROOT / "docs" / "reference" / "clients.md").read_text())
    assert [(client.name, client.language) for client in (*CLIENTS, *MORE_CLIENTS)] == rows
