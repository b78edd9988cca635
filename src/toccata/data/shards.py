"""Training data in shards that are pure functions of their index, made ahead of use by worker processes.

A shard that exists is read; one that doesn't is made. So a run stopped anywhere goes on with exactly the same data.
"""

import contextlib
import json
import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

Shard = tuple[dict[str, Tensor], list[dict[str, Any]]]


@dataclass(frozen=True)
class ShardStore:
    """Shards of ``make(index)`` kept in ``folder``: tensors, and a list of JSON records (captions, labels)."""

    folder: Path
    make: Callable[[int], Shard]

    def path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.safetensors"

    def ensure(self, index: int) -> Path:
        """Make shard ``index`` unless it is there; written beside its name and renamed."""
        path = self.path(index)
        if not path.exists():
            tensors, records = self.make(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            save_file(tensors, part, metadata={"records": json.dumps(records)})
            os.replace(part, path)
        return path

    def read(self, index: int, wait: bool = False) -> Shard:
        """Shard ``index``; with ``wait`` a worker's file is waited for, otherwise it is made here."""
        while wait and not self.path(index).exists():
            time.sleep(0.2)
        with safe_open(self.ensure(index), framework="pt") as file:
            records = json.loads(file.metadata()["records"])
            return {name: file.get_tensor(name) for name in file.keys()}, records  # noqa: SIM118 - not a dict


def _work(store: ShardStore, first: int, stop: int, stride: int, ahead: int, position: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    parent = os.getppid()
    for index in range(first, stop, stride):
        while index > position.value + ahead:
            time.sleep(0.5)
            if os.getppid() != parent:  # the run was killed: nobody waits for more
                return
        store.ensure(index)
        if os.getppid() != parent:
            return


def shards_read(steps: int, steps_per_shard: int, first: int = 1) -> int:
    """How many shards a run reads that begins with ``first`` and gets one more every ``steps_per_shard`` steps."""
    return first + max(steps - 1, 0) // steps_per_shard


@contextlib.contextmanager
def made_ahead(
    store: ShardStore, start: int, stop: int, workers: int, ahead: int = 64
) -> Iterator[Callable[[int], Shard]]:
    """Within the scope, ``workers`` processes make shards ``start``..``stop`` up to ``ahead`` of the one last read.

    Yields ``read(index)``. With no workers, shards are made where they are read.
    """
    context = mp.get_context("spawn")
    position = context.Value("q", start)
    processes = [
        context.Process(target=_work, args=(store, start + w, stop, workers, ahead, position), daemon=True)
        for w in range(workers)
    ]
    for process in processes:
        process.start()

    def read(index: int) -> Shard:
        position.value = max(position.value, index)
        if workers and index >= start:
            maker = processes[(index - start) % workers]
            while maker.is_alive() and not store.path(index).exists():
                time.sleep(0.2)
        return store.read(index)

    try:
        yield read
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
