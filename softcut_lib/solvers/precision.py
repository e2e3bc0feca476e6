"""Autocast ends where a solve or a filter begins: sums over an image overflow half precision."""

from contextlib import nullcontext

import torch

# the kinds that have autocast; torch.amp.is_autocast_available says so too, but PyTorch 2.11 cannot
# put its answer into a graph
KINDS = ("cpu", "cuda", "mps", "xpu")


def autocasts(device):
    """True within autocast for this device."""
    return device.type in KINDS and torch.is_autocast_enabled(device.type)


def full_precision(device):
    """A context without autocast for this device."""
    return torch.autocast(device.type, enabled=False) if autocasts(device) else nullcontext()
