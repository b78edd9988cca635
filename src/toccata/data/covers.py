"""Shards of melodies, each as log-mels of several covers, for an encoder that learns which covers are of one melody.

Shapes: T frames, M mel bands, N samples, J notes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toccata.data.shards import Shard


@dataclass(frozen=True)
class Covers:
    """One melody: of each cover its mel_TM (float16), when each note begins in it, in seconds, and what gives it."""

    mels: tuple[Tensor, ...]
    onsets: tuple[Tensor, ...]
    sounds: tuple[str, ...]

    def window(self, cover: int, place: float, frames: int, frame_rate: float) -> Tensor:
        """(``frames``, M) of a cover around the note ``place``, which may lie between two, as near as its ends allow.

        A cover that is shorter is filled up with its quietest value.
        """
        onsets_J, mel_TM = self.onsets[cover], self.mels[cover]
        note = min(int(place), len(onsets_J) - 2)
        seconds = torch.lerp(onsets_J[note], onsets_J[note + 1], place - note)
        start = round(float(seconds) * frame_rate) - frames // 2
        start = max(min(start, len(mel_TM) - frames), 0)
        part_TM = mel_TM[start : start + frames]
        missing = frames - len(part_TM)
        return torch.nn.functional.pad(part_TM, (0, 0, 0, missing), value=float(mel_TM.min())) if missing else part_TM


def cover_shard(
    melodies: Iterable[Sequence[tuple[Tensor, Sequence[float], str]]], mels: Callable[[Tensor], Tensor]
) -> Shard:
    """Melodies as covers (wave_N, onsets in seconds, sound) -> a shard; ``mels`` maps (1, N) to (1, T, M)."""
    found, records = [], []
    for covers in melodies:
        own = [mels(wave_N[None])[0].half() for wave_N, _, _ in covers]
        found += own
        records.append({
            "frames": [len(mel_TM) for mel_TM in own],
            "onsets": [[round(float(at), 4) for at in onsets] for _, onsets, _ in covers],
            "sounds": [sound for _, _, sound in covers],
        })  # fmt: skip
    return {"mel": torch.cat(found)}, records


def melodies(shard: Shard) -> list[Covers]:
    """The melodies of a shard."""
    tensors, records = shard
    mels = iter(tensors["mel"].split([count for record in records for count in record["frames"]]))
    return [
        Covers(
            tuple(next(mels) for _ in record["frames"]),
            tuple(torch.tensor(onsets) for onsets in record["onsets"]),
            tuple(record["sounds"]),
        )
        for record in records
    ]
