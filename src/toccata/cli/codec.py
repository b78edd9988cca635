"""``toccata encode`` and ``toccata decode``: sound to codes and back."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toccata.cli.progress import note
from toccata.errors import InputError, OutputError

if TYPE_CHECKING:
    import numpy as np

ENCODE_EXAMPLE = "\b\nExample: toccata encode song.wav song.safetensors --levels 4"
DECODE_EXAMPLE = "\b\nExample: toccata decode song.safetensors again.flac"
_SUFFIX = ".safetensors"

Codec = Annotated[str, typer.Option("--model", help="A codec's name (toccata models list) or folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def encode(
    sound: Annotated[Path, typer.Argument(help="Sound file to encode; mixed to mono at the codec's rate.")],
    codes: Annotated[Path, typer.Argument(help="File to write, ending in .safetensors.")],
    levels: Annotated[
        int | None, typer.Option(help="Codebooks to use, fewer for a lower bitrate. [default: all]")
    ] = None,
    model: Codec = "soundstream-mini",
    as_json: AsJson = False,
) -> None:
    """Turn sound into a codec's codes."""
    from toccata.audio.io import check_folder, read, write_whole
    from toccata.audio.resample import resample, to_channels

    if codes.suffix != _SUFFIX:
        raise OutputError(f"{str(codes)!r} is no name for codes; end it in {_SUFFIX}")
    check_folder(codes)
    samples, rate = read(sound)
    folder = _find(model)
    import torch
    from safetensors.numpy import save

    from toccata.codecs.soundstream import load_soundstream

    codec = load_soundstream(folder)
    wave = to_channels(resample(samples, rate, codec.config.sample_rate), 1)
    codes_KT = codec.encode(torch.from_numpy(wave)[None], levels)[0].numpy().astype("int16")
    report = {
        "output": str(codes),
        "model": model,
        "samples": wave.shape[1],
        "sample_rate": codec.config.sample_rate,
        "levels": len(codes_KT),
        "frames": codes_KT.shape[1],
        "bits_per_second": _bitrate(codec.config.vocabulary, codec.config.frame_rate, len(codes_KT)),
    }
    write_whole(codes, save({"codes_KT": codes_KT}, {"toccata": json.dumps(report)}))
    _tell(report, as_json)


def decode(
    codes: Annotated[Path, typer.Argument(help="File that toccata encode wrote.")],
    sound: Annotated[Path, typer.Argument(help="Sound file to write: .wav .flac .ogg .mp3.")],
    model: Codec = "soundstream-mini",
    as_json: AsJson = False,
) -> None:
    """Turn a codec's codes back into sound."""
    from toccata.audio.io import check_target, write

    check_target(sound)
    codes_KT, samples = _read_codes(codes)
    folder = _find(model)
    import torch

    from toccata.codecs.soundstream import load_soundstream

    codec = load_soundstream(folder)
    if len(codes_KT) > codec.config.levels or codes_KT.max() >= codec.config.vocabulary:
        raise InputError(f"{codes} was not made by {model}; name the codec that made it with --model")
    wave = codec.decode(torch.from_numpy(codes_KT.astype("int64"))[None])[0].numpy()[:, :samples]
    write(sound, wave, codec.config.sample_rate, {"software": "toccata"})
    rate = codec.config.sample_rate
    _tell({"output": str(sound), "model": model, "seconds": wave.shape[1] / rate, "sample_rate": rate}, as_json)


def _find(model: str) -> Path:
    from toccata import hub

    return hub.find(model)


def _bitrate(vocabulary: int, frame_rate: float, levels: int) -> float:
    return (vocabulary - 1).bit_length() * frame_rate * levels


def _read_codes(path: Path) -> "tuple[np.ndarray, int]":
    """Codes (K, T), none negative, and the number of samples they stand for."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            codes_KT = file.get_tensor("codes_KT")
            samples = int(json.loads(file.metadata()["toccata"])["samples"])
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give a file that toccata encode wrote") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        raise InputError(f"{path} holds no codes; give a file that toccata encode wrote") from None
    if codes_KT.ndim != 2 or codes_KT.dtype != "int16" or codes_KT.size == 0 or codes_KT.min() < 0 or samples < 1:
        raise InputError(f"{path} holds codes that no codec makes; encode the sound again")
    return codes_KT, samples


def _tell(report: dict[str, Any], as_json: bool) -> None:
    note(f"{report['output']}: " + ", ".join(f"{key} {value}" for key, value in report.items() if key != "output"))
    if as_json:
        print(json.dumps(report))
