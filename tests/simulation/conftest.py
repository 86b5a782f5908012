"""The simulation's modules lie beside this file, not in a package: the path must be known first."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
