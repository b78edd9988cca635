"""Steps recorded as CUDA graphs: a replay starts all kernels of a step at once, not one by one from Python."""

import warnings
from collections.abc import Callable
from functools import partial

import torch

WARM_UPS = 3

Run = Callable[[], object]


class Recorder:
    """Runs steps by what was recorded of them, one recording for each ``room``; as they are where recording fails.

    A step reads and writes only tensors of ``device`` that never move, does not wait for the device, leaves nothing
    behind but what it writes, and does the same when it runs again: to record it, it is run.
    """

    def __init__(self, device: torch.device, record: Callable[[Run, torch.device], Run] | None = None) -> None:
        """``record(run, device) -> replay``; by default a CUDA graph."""
        self.device, self.record = device, record or record_graph
        self.replays: dict[int, Run] = {}
        self.failed = False

    def __call__(self, step: Callable[[int], object], room: int) -> None:
        """``step(room)``; always the same step."""
        if room not in self.replays and not self.failed:
            self._try(partial(step, room), room)
        self.replays.get(room, partial(step, room))()

    def _try(self, run: Run, room: int) -> None:
        try:
            self.replays[room] = self.record(run, self.device)
        except RuntimeError as error:
            self.failed = True
            self.replays.clear()
            why = str(error).strip().partition("\n")[0]
            warnings.warn(f"decoding goes on without CUDA graphs, more slowly: {why}", stacklevel=3)


def record_graph(run: Run, device: torch.device) -> Run:
    """Run a few times on a stream of its own, so that libraries set up what they need, then record on that stream."""
    with torch.cuda.device(device):
        graph, side, here = torch.cuda.CUDAGraph(), torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(here)
        try:
            with torch.cuda.stream(side):  # a recording that fails does not give its stream back, this does
                for _ in range(WARM_UPS):
                    run()
                # Only this thread's calls count: another one, such as a server's, may use the device meanwhile.
                with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                    run()
        finally:
            here.wait_stream(side)
    return graph.replay
