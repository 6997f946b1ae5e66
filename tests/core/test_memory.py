import subprocess
import sys

import pytest

# Allocates and frees 64 MB ten times, and prints how many pages the kernel had to provide.
PROGRAM = """
import resource, sys
import numpy as np
from video2emg.core.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
np.ones(8_000_000).sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(8_000_000).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_used_again():
    faults = {}
    for way in ("keep", "usual"):
        command = [sys.executable, "-c", PROGRAM, way]
        output = subprocess.run(command, capture_output=True, text=True, check=True)
        faults[way] = int(output.stdout)
    assert faults["keep"] < 0.1 * faults["usual"]
