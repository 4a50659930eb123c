"""Tables in docs/ are made of data; here they are today's."""

from __future__ import annotations

from chaos import table


def test_the_tables_of_faults_are_those_that_are_run() -> None:
    assert table.written() == table.DOCUMENT.read_text(), "run python tests/chaos/table.py"
