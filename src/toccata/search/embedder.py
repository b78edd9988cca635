"""A joint encoder as people use it: clips, sound files and texts in, likenesses out.

Shapes: B clips or texts, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from toccata.clip import Clip
from toccata.encoders.joint import JointEncoder, similarity
from toccata.errors import InputError

Sound = Clip | str | Path


@dataclass(frozen=True)
class Tag:
    """A label, its ``similarity`` (cosine) to a clip, and its ``share`` of all labels: they sum to 1."""

    label: str
    similarity: float
    share: float


class Embedder:
    """Music and words in one space; what ``toccata.load`` gives for a joint encoder's name."""

    def __init__(self, encoder: JointEncoder, name: str = "", weights_sha256: str = "") -> None:
        self.encoder, self.name, self.weights_sha256 = encoder, name, weights_sha256

    @property
    def width(self) -> int:
        return self.encoder.width

    def embed(self, clips: Sound | Sequence[Sound]) -> Tensor:
        """Clips and sound files of any length -> (B, D) of unit length, on the CPU; raises ``InputError``."""
        rows = []
        for i, clip in enumerate(_listed(clips)):
            if isinstance(clip, Clip):
                row = self.encoder.embed_audio([torch.from_numpy(clip.samples)], clip.sample_rate)
            else:
                row = self.encoder.embed_files([Path(clip)])
            if not row.isfinite().all():
                what = f"clip {i + 1}" if isinstance(clip, Clip) else str(clip)
                raise InputError(f"{what} is too loud to be sound; its samples should lie within [-1, 1]")
            rows.append(row.cpu())
        if not rows:
            raise InputError("there is no sound to embed; give at least one clip or file")
        return torch.cat(rows)

    def embed_text(self, texts: str | Sequence[str]) -> Tensor:
        """Texts -> (B, D) of unit length, on the CPU."""
        return self.encoder.embed_text([texts] if isinstance(texts, str) else texts).cpu()

    def similarity(self, texts: str | Sequence[str], clips: Sound | Sequence[Sound]) -> Tensor:
        """Cosine of every text with every clip: (texts, clips) in [-1, 1]."""
        return similarity(self.embed_text(texts), self.embed(clips))

    def tag(self, clip: Sound, labels: Sequence[str]) -> list[Tag]:
        """The labels, the likeliest first: each is read as a text, none was learnt as a class (zero-shot)."""
        near = self.similarity(labels, [clip])[:, 0]
        shares = (near / self.encoder.temperature).softmax(0)
        tags = [Tag(*told) for told in zip(labels, near.tolist(), shares.tolist(), strict=True)]
        return sorted(tags, key=lambda tag: -tag.similarity)


def _listed(clips: Sound | Sequence[Sound]) -> Sequence[Sound]:
    return [clips] if isinstance(clips, Clip | str | Path) else clips
