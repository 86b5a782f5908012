"""The simulation's modules are beside this file, not in a package, so the path is added first."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
