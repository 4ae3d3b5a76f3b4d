"""`python -m ojak` is `ojak`."""

import sys

from ojak.cli import main

sys.exit(main())
