"""Timings of the soft cut layer side by side with its peers: `make bench`, `python -m benchmarks`.

Every method does the same work, forward and backward of the layer, to the same measured error. The
results go to book/results/solvers-cpu.json, which the appendix "Benchmarks" reads.
"""

import os

# Threads of OpenBLAS (NumPy's, CHOLMOD's) go on spinning for a tenth of a second after a product
# and would take the cores from whatever is timed next. This sends them to sleep at once; it is
# read when the library is loaded, so it stands here, before any other import.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
