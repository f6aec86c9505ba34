"""`python -m dipkernels` is the `dipkernels` command."""

import sys

from dipkernels.cli import main

sys.exit(main())
