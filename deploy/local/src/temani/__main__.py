"""`python -m temani` is the command line."""

import sys

from temani.main import main

if __name__ == "__main__":
    sys.exit(main())
