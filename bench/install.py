"""Install what the benchmark runs: the real services of the tests, nginx and h2load.

`python bench/install.py` from the root of the repository; with the argument `nova` a real Nova too.
"""

from __future__ import annotations

import sys
from pathlib import Path

# As a script it stands outside its package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from real import install

if __name__ == "__main__":
    try:
        install.main(*sys.argv[1:])
        # The module is for the scenario of a slow Glance, which is left out without it.
        install.install_debian("nginx", "nginx-light", "libnginx-mod-http-echo")
        install.install_debian("h2load", "nghttp2-client")
    except install.InstallError as error:
        sys.exit(f"install.py: {error}")
