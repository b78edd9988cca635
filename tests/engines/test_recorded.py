"""What is recorded is recorded once for each room and replayed; where it cannot be, the step goes on as it is."""

import pytest
import torch

from toccata.engines.recorded import Recorder, record_graph

CPU = torch.device("cpu")


def test_a_step_is_recorded_once_for_each_room_and_then_replayed():
    recorded, replayed = [], []

    def record(run, device):
        run()
        recorded.append(device)
        return lambda: replayed.append(len(recorded))

    ran = []
    recorder = Recorder(CPU, record)
    for room in (8, 8, 16, 8):
        recorder(ran.append, room)
    assert ran == [8, 16]
    assert recorded == [CPU, CPU]
    assert len(replayed) == 4


def test_where_recording_fails_the_step_goes_on_after_one_line():
    def record(run, device):
        raise RuntimeError("operation not permitted when stream is capturing\nand a long trace")

    ran = []
    recorder = Recorder(CPU, record)
    with pytest.warns(UserWarning, match=r"without CUDA graphs, more slowly: operation not permitted[\w ]+$"):
        recorder(ran.append, 8)
    for room in (8, 16):
        recorder(ran.append, room)
    assert ran == [8, 8, 16]


@pytest.mark.gpu
@torch.no_grad()
def test_a_cuda_graph_reads_what_lies_in_its_buffers_when_it_is_replayed():
    device = torch.device("cuda")
    x, y = torch.zeros(8, device=device), torch.zeros(8, device=device)
    replay = record_graph(lambda: y.copy_(2 * x), device)
    for value in (3.0, 5.0):
        x.fill_(value)
        replay()
        assert y.tolist() == [2 * value] * 8
