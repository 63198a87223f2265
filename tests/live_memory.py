"""How many bytes tensors hold at one time, counted where PyTorch dispatches: on a CPU nothing else tells."""

import weakref
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Under it: `most`, the bytes that tensors made by then held at most at a time, and `largest`, of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = self.largest = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs or {})) if isinstance(x, Tensor)}
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in before | self._known:
                self._follow(each.untyped_storage())
        return made

    def _follow(self, storage: UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        self._known.add(place)
        self.live += size
        self.most, self.largest = max(self.most, self.live), max(self.largest, size)
        weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.live -= size
