"""CNN14 as PANN's authors published it (Kong et al. 2019, arXiv 1912.10211): 527 labels of AudioSet and an embedding.

There are two, for sound at 32 and at 16 kHz; which one it is, the weights tell. Sound is heard in equal parts of about
ten seconds, as long as the clips that it was trained on.

Shapes: B parts, N samples, T frames, M mel bands, V labels, D width.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from toccata.encoders.clap_pictures import Pictures, whole
from toccata.encoders.pann import NAMES, PANN, PANNConfig
from toccata.errors import WeightsError
from toccata.weights import checkpoint, published

SECONDS = 10.0
_WINDOWS = {
    513: Pictures(32_000, window=1024, hop=320, low=50.0, high=14_000.0, seconds=1.0),
    257: Pictures(16_000, window=512, hop=160, low=50.0, high=8000.0, seconds=1.0),
}
_FRONT = ("spectrogram_extractor.", "logmel_extractor.")


class PANNTagger(nn.Module):
    """CNN14 behind its log-mels, with the layer that tells its labels."""

    def __init__(self, config: PANNConfig, labels: int, pictures: Pictures) -> None:
        super().__init__()
        self.pictures = pictures
        self.tower = PANN(config)
        self.labels = nn.Linear(self.tower.width, labels)

    @property
    def sample_rate(self) -> int:
        return self.pictures.sample_rate

    @torch.no_grad()
    def listen(self, wave_N: Tensor) -> tuple[Tensor, Tensor]:
        """embedding_BD (2,048 numbers after the first dense layer and its ReLU) and logits_BV of each part of a sound.

        The sound is at ``sample_rate`` Hz and lasts a second or more; one of less is repeated until it does.
        """
        heard = [self._part(part_N) for part_N in parts(wave_N, self.sample_rate)]
        embedding_BD, logits_BV = (torch.cat(rows).cpu() for rows in zip(*heard, strict=True))
        return embedding_BD, logits_BV

    def _part(self, wave_N: Tensor) -> tuple[Tensor, Tensor]:
        device = self.labels.weight.device
        mel_TM = whole(wave_N, self.pictures).to(device)
        embedding_BD = self.tower.summarise(mel_TM[None, None], torch.zeros(1, dtype=torch.bool, device=device))
        return embedding_BD, self.labels(embedding_BD)


def parts(wave_N: Tensor, sample_rate: int) -> list[Tensor]:
    """The sound in equal parts as near to ten seconds as they can be; one of less than fifteen is one part."""
    count = max(1, int(len(wave_N) / sample_rate / SECONDS + 0.5))
    return list(wave_N[: len(wave_N) // count * count].chunk(count))


def load_pann(folder: Path) -> PANNTagger:
    """The published weights in ``folder``, as ``toccata models pull pann-cnn14`` leaves them, in evaluation mode.

    Raises ``WeightsError`` where they are missing, damaged or of another model.
    """
    file = published.only_file(folder)
    tensors = published.read_file(file, "model.", dtype=torch.float32)
    try:
        config = PANNConfig(tuple(len(tensors[f"conv_block{i}.conv1.weight"]) for i in range(1, 7)))
        pictures, labels = _WINDOWS[len(tensors["logmel_extractor.melW"])], len(tensors["fc_audioset.weight"])
    except KeyError as error:
        raise WeightsError(f"the weights in {file} are of another model than CNN14: they lack {error}") from None
    model = PANNTagger(config, labels, pictures)
    checkpoint.load_into(model, _of_published(tensors), file)
    return model.eval()


def _of_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in toccata's names; those of the published front end, which only say what a log-mel is, left out."""
    ours = {}
    for name, tensor in tensors.items():
        if name.startswith(_FRONT):
            continue
        if name.startswith("fc_audioset."):
            ours[name.replace("fc_audioset.", "labels.")] = tensor
            continue
        for theirs, own in NAMES.items():
            name = name.replace(theirs, own)
        ours[f"tower.{name}"] = tensor
    return ours
