"""Numba's CUDA simulator with coroutines for its threads: faster, and in any order that is asked.

Numba starts a thread of the system for every thread of a block, and polls them. Here they are
greenlets, which run one after the other from barrier to barrier, in a new random order each time:
what holds only in one order of the threads fails.
"""

from __future__ import annotations

import random
import threading
from types import SimpleNamespace
from typing import Any

import greenlet
import numpy as np
from numba.cuda.simulator import kernel, kernelapi

_order = random.Random(0)


class BarrierError(AssertionError):
    """Some threads of a block wait at a barrier that others never reach."""


class Thread(greenlet.greenlet):
    """One thread of a block; `kernelapi` asks it for its indices."""

    def __init__(self, function: Any, block: tuple[int, ...], place: tuple[int, ...]) -> None:
        super().__init__(function)
        self.blockIdx = kernel.Dim3(*block)
        self.threadIdx = kernel.Dim3(*place)

    def syncthreads(self) -> None:
        """Wait for all threads of the block."""
        self.parent.switch("barrier")


class Block:
    """Runs the threads of one block, from barrier to barrier."""

    def __init__(
        self, function: Any, grid: tuple[int, ...], shape: tuple[int, ...], debug: bool
    ) -> None:
        self.function, self.shape = function, shape

    def run(self, block: tuple[int, ...], *arguments: Any) -> None:
        threads = [
            Thread(lambda: self.function(*arguments), block, place)
            for place in np.ndindex(*self.shape)
        ]
        while threads:
            _order.shuffle(threads)
            waiting = []
            for thread in threads:
                thread.parent = greenlet.getcurrent()
                if thread.switch() == "barrier":
                    waiting.append(thread)
            if waiting and len(waiting) < len(threads):
                raise BarrierError(f"{len(waiting)} of {len(threads)} threads wait at a barrier")
            threads = waiting


def install() -> None:
    """Let Numba's simulator run blocks this way, in this process."""
    kernel.BlockManager = Block  # type: ignore[misc]

    def current() -> Any:
        running = greenlet.getcurrent()
        return running if isinstance(running, Thread) else threading.current_thread()

    kernelapi.threading = SimpleNamespace(  # type: ignore[attr-defined]
        current_thread=current, Lock=threading.Lock
    )
