"""Precisions: what each means on a machine, that each makes music with seeds, and what is said where one cannot run."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from toccata.codecs import soundstream
from toccata.encoders.text import load_text_encoder
from toccata.errors import InputError
from toccata.models.musicgen import decoders, pipeline
from toccata.models.musicgen.config import mini
from toccata.models.musicgen.network import MusicGenNetwork
from toccata.models.musicgen.writing import Writer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    codec = soundstream.SoundStream(replace(soundstream.mini(), levels=3, vocabulary=32))
    config = replace(mini(), width=64, layers=2, heads=2, codebooks=3, vocabulary=32, window_seconds=2.0)
    network = MusicGenNetwork(config)
    for module, std in ((codec, 0.05), (network, 0.3)):
        for parameter in module.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=std)
    for level in codec.quantiser.levels:
        torch.nn.init.normal_(level.get_buffer("codes_VD"))
    soundstream.save_soundstream(root / "soundstream-mini", codec)
    pipeline.save_musicgen(root / "tiny", network, codec="soundstream-mini", text="text-mini")
    return root / "tiny"


PLACES = [("cpu", precision) for precision in ("fp32", "bf16", "int8", "int4")]
PLACES += [pytest.param("cuda", precision, marks=pytest.mark.gpu) for precision in ("fp32", "bf16")]


@pytest.mark.parametrize(("device", "precision"), PLACES)
def test_every_precision_keeps_the_promises_of_seeds_lists_and_continuing(folder, device, precision):
    model = pipeline.load_pipeline(folder, device, precision)
    clips = model.generate(["slow piano", "loud drums"], 3.0, seed=7)
    assert np.array_equal(clips[1].samples, model.generate("loud drums", 3.0, seed=7).samples)
    assert not np.array_equal(clips[0].samples, clips[1].samples)
    together = model.generate_together([pipeline.Request("slow piano", 1.0, seed=7), "drums"], 1.5)
    assert [clip.seconds for clip in together] == [1.0, 1.5]
    again = pipeline.load_pipeline(folder, device, precision).generate("slow piano", 3.0, seed=7)
    assert np.array_equal(clips[0].samples, again.samples)
    assert model.continue_(clips[0], "slow piano", 2.0, seed=1).seconds == pytest.approx(3.0, abs=0.05)


def test_coarser_weights_are_other_weights(folder):
    fine, coarse = (pipeline.load_pipeline(folder, "cpu", p).generate("piano", 2.0, seed=1) for p in ("fp32", "int4"))
    assert not np.array_equal(fine.samples, coarse.samples)


def test_auto_is_the_fastest_that_is_there(monkeypatch):
    assert [decoders.pick_precision("auto", CPU, width) for width in (256, 1024)] == ["fp32", "int8"]
    assert decoders.pick_precision("auto", torch.device("cuda"), 256) == "bf16"
    monkeypatch.setattr(decoders, "find_spec", lambda name: None)
    assert decoders.pick_precision("auto", CPU, 256) == "fp32"
    assert decoders.pick_precision("auto", CPU, 1024) in ("bf16", "fp32")


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_what_cannot_run_says_why(precision, monkeypatch):
    with pytest.raises(InputError, match="runs on a CPU only"):
        decoders.pick_precision(precision, torch.device("cuda"), 1024)
    monkeypatch.setattr(decoders, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'toccata\[fast\]'"):
        decoders.pick_precision(precision, CPU, 1024)
    assert decoders.pick_precision("fp32", CPU, 1024) == "fp32"


def test_a_large_model_decodes_from_packed_weights_as_from_plain_ones(monkeypatch):
    monkeypatch.setattr(decoders, "SMALL", 16)
    torch.manual_seed(0)
    config = replace(mini(), width=64, layers=2, heads=2, codebooks=3, vocabulary=32, window_seconds=2.0)
    network = MusicGenNetwork(config)
    text = load_text_encoder()
    plain = Writer(network, text)
    condition, steps_KS = plain.condition("slow piano", None), torch.randint(33, (3, 5))
    with plain.predicting(condition, 9) as predict:
        expected = predict(steps_KS)
    packed = Writer(network, text, decoders.fast_decoder(network, "fp32"))
    assert not any(isinstance(module, torch.nn.Linear) for module in network.blocks.modules())
    with packed.predicting(packed.condition("slow piano", None), 9) as predict:
        assert torch.allclose(predict(steps_KS), expected, atol=1e-4)
    assert packed.stages is not None
    with packed.stages.stage([packed.condition("slow piano", None)] * 3, 9) as stage:
        assert torch.allclose(stage([steps_KS] * 3), expected, atol=1e-4)
        assert stage([steps_KS[:, :1]] * 3).shape == (3, 2, 3, 32)
