"""Run the console blocks of README and of the tutorial for client authors.

`real/test_tutorial.py` runs those of the tutorial for operators.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.console import README, TUTORIALS, Step, clone, environ_on, is_shown, run_page, steps
from support.live import free_port

PAGE = """
In a first terminal:

```console
$ one \\
    two
shown
$ cat <<END
> three
> END
```

```console
$ four
```

Open a second
terminal:

```console
$ five
...
last
```
"""


def test_steps_are_read_as_a_reader_types_them() -> None:
    assert [
        Step("first", "one \\\n    two", "shown"),
        Step("first", "cat <<END\nthree\nEND", ""),
        Step("first", "four", ""),
        Step("second", "five", "...\nlast"),
    ] == list(steps(PAGE))


@pytest.mark.parametrize(
    ("output", "shown", "expected"),
    [
        ("anything", "", True),
        ("a\nb\nc\n", "a\n...\nc", True),
        ("a\nb\nd\n", "a\n...\nc", False),
        ('{"a":1}', '{"a":...}', True),
        ("a b", "a", False),
    ],
)
def test_dots_stand_for_any_text(output: str, shown: str, expected: bool) -> None:
    assert expected == is_shown(output, shown)


@pytest.mark.live
@pytest.mark.parametrize(
    ("page", "commands"),
    [(README, 5), (TUTORIALS / "client-authors.md", 27)],
    ids=["README", "tutorial"],
)
def test_a_page_for_client_authors(page: Path, commands: int, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    text = page.read_text().replace("127.0.0.1:8774", address)
    assert commands == run_page(text, clone(tmp_path), environ_on(address))


@pytest.mark.live
def test_the_test_in_readme(tmp_path: Path) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "test_client.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout
