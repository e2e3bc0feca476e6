"""Tensors that say they are on another device, to test device code without having one.

`away(t)` holds the values of t on the CPU and claims to be on `DEVICE`. Within `Elsewhere()` new
tensors with that device are of the same kind, an operation that mixes devices raises, and
`waits` lists the lines of the library that made the host wait for a value or move one.
"""

import traceback

import torch
import torch._dynamo  # before torch is patched below: it keeps what it finds when it is loaded
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")  # the one device beside the CPU that autograd knows in every build
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")


class Away(torch.Tensor):
    """A CPU tensor in disguise."""

    @staticmethod
    def __new__(cls, here):
        return torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), storage_offset=here.storage_offset(),
            dtype=here.dtype, device=DEVICE,
        )  # fmt: skip

    def __init__(self, here):
        self.here = here

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation} outside of Elsewhere()")


def away(tensor):
    """The tensor as if it were on `DEVICE`."""
    return Away(tensor.detach().clone())


def here(value):
    """The values, back on the CPU."""
    return value.here if isinstance(value, Away) else value


class Elsewhere(TorchDispatchMode):
    """Within it, tensors made by `away` can be computed with."""

    def __enter__(self):
        self.waits = []
        self._tensor, torch.tensor = torch.tensor, self._new_tensor
        self._autocast, torch.is_autocast_enabled = torch.is_autocast_enabled, lambda *_: False
        return super().__enter__()

    def __exit__(self, *error):
        torch.tensor, torch.is_autocast_enabled = self._tensor, self._autocast
        return super().__exit__(*error)

    def _new_tensor(self, data, *, device=None, **options):
        made = self._tensor(data, **options)
        return made if device is None or torch.device(device) != DEVICE else Away(made)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        disguised = [t for t in given if isinstance(t, Away)]
        plain = [t for t in given if not isinstance(t, Away)]
        name = operation.name().removeprefix("aten::").split(".")[0]
        goes_away = bool(disguised)
        if kwargs.get("device") is not None:
            goes_away = torch.device(kwargs["device"]) == DEVICE
            kwargs["device"] = torch.device("cpu")
            if given and goes_away == bool(plain):
                self.waits.append(f"{name}: {_line()}")
        elif disguised and any(t.dim() for t in plain):
            if name in ("copy_", *INDEXING):  # allowed, with a copy between the devices
                self.waits.append(f"{name}: {_line()}")
            else:
                raise RuntimeError(f"{name} of tensors on two devices in {_line()}")
        masks = name in INDEXING and any(t.dtype == torch.bool for t in given[1:])
        if disguised and (name in WAITS or masks):
            self.waits.append(f"{name}: {_line()}")
        out = operation(*tree_map(here, args), **tree_map(here, kwargs))
        same = {id(here(t)): t for t in disguised}

        def dress(value):
            if not (isinstance(value, torch.Tensor) and goes_away):
                return value
            return same.get(id(value)) if id(value) in same else Away(value)

        return tree_map(dress, out)


def _line():
    """The innermost line of the library on the stack."""
    for frame in reversed(traceback.extract_stack()):
        if "softcut_lib" in frame.filename:
            return f"{frame.filename.rpartition('softcut_lib')[2]}:{frame.lineno}: {frame.line}"
    return "no line of the library"
