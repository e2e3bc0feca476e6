"""Timings of the soft cut layer side by side with its peers: `make bench`, `python -m benchmarks`.

Every method does the same work, forward and backward of the layer, to the same measured error. The
results go to book/results/solvers-cpu.json, which the appendix "Benchmarks" reads.
"""
