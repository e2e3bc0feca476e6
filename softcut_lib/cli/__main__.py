"""``python -m softcut_lib.cli`` is the `softcut` command."""

import sys

from softcut_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
