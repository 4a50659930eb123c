"""`python -m nova_image_shim`: the command line."""

import sys

from nova_image_shim.cli import main

if __name__ == "__main__":
    sys.exit(main())
