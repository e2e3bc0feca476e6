"""What must be settled before any test file is imported."""

import importlib.util
import os

import torch

# Triton's kernels run in its interpreter, on CPU tensors, where there is no GPU. It asks when the
# kernels are defined, so this comes first.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# files that need triton, which is there on CUDA machines and where it was installed by hand
collect_ignore = []
if importlib.util.find_spec("triton") is None:
    for name in ("kernels", "launch"):
        collect_ignore += [f"softcut_lib/solvers/{name}_cuda.py"]
        collect_ignore += [f"softcut_lib/layers/{name}_chains.py"]
