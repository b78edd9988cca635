"""Decoding in buffers that never move is decoding as before, alone, in a batch and piece after piece."""

import warnings
from itertools import pairwise

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.engines.networks import KINDS, network_of, told
from toccata.engines.recorded import Recorder
from toccata.engines.torch_decoder import TorchDecoder
from toccata.models.musicgen.stage import ROOM, Stage, Stages, size_for

CPU = torch.device("cpu")


def steps_of(config, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocabulary + 1, (config.codebooks, count), generator=generator)


def staged(stage, conditions, pieces, first):
    """Logits (S, 2, K, V) of each piece, read ``first`` steps at once and then step by step."""
    stage.begin(conditions)
    made = [[] for _ in pieces]
    cuts = [[0, one, *range(one + 1, steps_KS.shape[1] + 1)] for one, steps_KS in zip(first, pieces, strict=True)]
    for turn in range(max(map(len, cuts)) - 1):
        spans = [tuple(cut[turn : turn + 2]) if turn + 1 < len(cut) else (0, 0) for cut in cuts]
        logits = stage([steps_KS[:, a:b] for steps_KS, (a, b) in zip(pieces, spans, strict=True)])
        for index, (a, b) in enumerate(spans):
            if b > a:
                made[index].append(logits[index].clone())
    return [torch.stack(one) for one in made]


def stage_for(network, conditions, steps):
    return Stage(network, size_for(conditions, steps))


@torch.no_grad()
@pytest.mark.parametrize("first", [1, 30])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_static_cache_is_a_growing_one_is_none_at_all(kind, first):
    """To the window's end; with and without cross-attention, melodies and prefixes, rotary and sinusoidal."""
    network = network_of(KINDS[kind])
    condition = told(network)
    steps_KS = steps_of(network.config, network.config.window_frames)
    S = steps_KS.shape[1]
    (static,) = staged(stage_for(network, [condition], S), [condition], [steps_KS], [first])
    growing = TorchDecoder(network.blocks, network.norm, network.heads, network.config.positions == "rotary").begin(
        2, condition.before + S, condition.layers, condition.mask_BL
    )
    cuts, rows = [0, first, *range(first + 1, S + 1)], steps_KS.expand(2, -1, -1)
    grown = [growing(network.inputs(rows[..., a:b], condition, growing.length)).clone() for a, b in pairwise(cuts)]
    assert torch.allclose(static, torch.stack(grown).view(static.shape), atol=2e-5)
    uncached = network(rows, condition)[:, :, first - 1 :].permute(2, 0, 1, 3)
    assert torch.allclose(static, uncached, atol=1e-4)
    assert static.std() > 0.5


@torch.no_grad()
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_pieces_of_different_texts_starts_and_lengths_go_together_as_alone(kind):
    network = network_of(KINDS[kind])
    conditions = [told(network, tokens, seed) for seed, tokens in enumerate((7, 19, 4))]
    pieces = [steps_of(network.config, S, S) for S in (40, 30, 55)]
    first = [1, 12, 20]
    together = staged(stage_for(network, conditions, 60), conditions, pieces, first)
    for index, made in enumerate(together):
        only = slice(index, index + 1)
        (alone,) = staged(stage_for(network, conditions[only], 60), conditions[only], pieces[only], first[only])
        assert torch.allclose(made, alone, atol=2e-5)
    assert not torch.allclose(together[0][0], together[1][0], atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mini", "melody"])
def test_what_an_earlier_piece_left_does_not_count(kind):
    network = network_of(KINDS[kind])
    stages, condition = Stages(network), told(network)
    steps_KS = steps_of(network.config, 20)
    with stages.stage([condition], 60) as stage:
        expected = staged(stage, [condition], [steps_KS], [3])[0]
        for cache in stage.decoding.caches:
            cache.keys_BHSE.fill_(1e3)
            cache.values_BHSE.fill_(1e3)
        earlier = stage
    with stages.stage([told(network, 9, 5)], 60) as stage:
        assert stage is earlier
        staged(stage, stage.conditions, [steps_of(network.config, 50, 3)], [1])
        with stages.stage([condition], 60) as other:
            assert other is not stage
    with stages.stage([condition], 60) as stage:
        assert torch.equal(staged(stage, [condition], [steps_KS], [3])[0], expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mini", "published"])
def test_reading_the_cache_further_than_it_is_filled_changes_nothing(kind):
    """What is recorded reads up to the next multiple of a size; here it is called as it is."""
    network = network_of(KINDS[kind])
    condition, steps_KS, rooms = told(network), steps_of(network.config, 40), []
    stage = stage_for(network, [condition], 2 * ROOM)
    exact = staged(stage, [condition], [steps_KS], [5])[0]
    stage.recorder = Recorder(CPU, lambda run, device: rooms.append(run.args) or run)
    assert torch.allclose(staged(stage, [condition], [steps_KS], [5])[0], exact, atol=1e-5)
    stage.lengths = [ROOM]
    stage([steps_KS[:, :1]])
    assert rooms == [(ROOM,), (2 * ROOM,)]


@torch.no_grad()
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_step_stays_in_its_buffers_and_twice_is_as_once(kind):
    network = network_of(KINDS[kind])
    condition = told(network)
    stage = stage_for(network, [condition], 60)
    stage.begin([condition])
    stage([steps_of(network.config, 5)])
    places = {name: buffer.data_ptr() for name, buffer in buffers(stage).items()}
    once = stage([steps_of(network.config, 1)]).clone()
    kept = {name: buffer.clone() for name, buffer in buffers(stage).items()}
    stage._step(stage.lengths[0])
    assert torch.equal(stage.logits_BV.view(once.shape), once[0][None])
    assert all(torch.equal(kept[name], buffer) for name, buffer in buffers(stage).items())
    stage.begin([told(network, 9, 5)])
    stage([steps_of(network.config, 1)])
    assert places == {name: buffer.data_ptr() for name, buffer in buffers(stage).items()}


def buffers(stage):
    """Every tensor that a step reads or writes beside the weights."""
    found = {"told": stage.told_KB, "logits": stage.logits_BV, "mask": stage.decoding.mask_BL}
    for index, (cache, keys_values) in enumerate(zip(stage.decoding.caches, stage.decoding.told, strict=True)):
        found |= {f"keys {index}": cache.keys_BHSE, f"values {index}": cache.values_BHSE}
        found |= {f"told {index} {k}": tensor for k, tensor in enumerate(keys_values or ())}
    for name, tensor in (("added", stage.added_BMD), ("positions", stage.positions_MD)):
        found |= {} if tensor is None else {name: tensor}
    return found


class Devices(TorchDispatchMode):
    """Notes where every tensor is that an operation reads or makes."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        found = tree_leaves((args, kwargs, out))
        self.seen |= {(str(func), tensor.device.type) for tensor in found if isinstance(tensor, torch.Tensor)}
        return out

    def elsewhere(self):
        return {name for name, device in self.seen if device != "meta"}


@torch.no_grad()
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_step_never_leaves_the_device(kind):
    """On a device without values: what waits for one fails, and no tensor of another device takes part."""
    network = network_of(KINDS[kind]).to("meta")
    conditions = [told(network), told(network, 12)]
    stage = stage_for(network, conditions, 60)
    stage.begin(conditions)
    assert {buffer.device.type for buffer in buffers(stage).values()} == {"meta"}
    with Devices() as devices:
        stage._step(48)
    assert len(devices.seen) > 10
    assert not devices.elsewhere()
    with Devices() as devices:
        stage.told_KB[torch.tensor([1])] = 0
    assert devices.elsewhere()
    with pytest.raises(RuntimeError, match="meta"):
        stage._step(int(stage.told_KB[-1].max()))


@torch.no_grad()
def test_texts_of_about_one_length_find_a_stage_of_the_same_size():
    network = network_of(KINDS["melody"])
    short, long = ([told(network, tokens)] for tokens in (5, 40))
    assert long[0].before - short[0].before == 35
    assert size_for(short, 100) == size_for(long, 100)
    assert size_for(long, 100).steps >= long[0].before + 100


def test_a_piece_ends_where_its_room_does():
    network = network_of(KINDS["published"])
    condition = told(network)
    stage = Stage(network, size_for([condition], 3)._replace(steps=3))
    with pytest.raises(ValueError, match="room for 3 steps"):
        staged(stage, [condition], [steps_of(network.config, 4)], [1])


@pytest.mark.gpu
@torch.no_grad()
@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(("dtype", "far"), [(torch.float32, 1e-3), (torch.bfloat16, 0.1)])
def test_recorded_steps_are_the_steps_themselves(kind, dtype, far):
    """Piece after piece, into another room and back."""
    network = network_of(KINDS[kind]).to("cuda", dtype)
    conditions = [told(network), told(network, 12, 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage = stage_for(network, conditions, 2 * ROOM)
        assert stage.recorder is not None
        for seed, lengths in enumerate([(40, 30), (ROOM + 20, 50), (10, 60)]):
            pieces = [steps_of(network.config, S, seed) for S in lengths]
            recorded = staged(stage, conditions, pieces, [1, 20])
            eager = stage_for(network, conditions, 2 * ROOM)
            eager.recorder = None
            for made, expected in zip(recorded, staged(eager, conditions, pieces, [1, 20]), strict=True):
                assert torch.allclose(made.float(), expected.float(), atol=far)
        assert len(stage.recorder.replays) == 2
        assert not stage.recorder.failed
