"""Before any music, a model's text blocks learn from the band's captions alone what a caption says of its piece."""

import torch
from torch import Tensor, nn

from toccata.corpus.band import sheet, sheet_labels
from toccata.encoders.text import TextEncoder
from toccata.models.musicgen.network import MusicGenNetwork, mean_text
from toccata.recipes.score_heads import LabelHead, label_targets
from toccata.training.log import StepLog
from toccata.training.optim import Optimisers, split_matrices, warmup_cosine
from toccata.training.precision import fast_products

PIECES, HELD_OUT_PIECES = 8000, 300


def learn_words(
    network: MusicGenNetwork, head: LabelHead, text: TextEncoder, seed: int, held_out_seed: int, steps: int, batch: int,
    device: str,
) -> None:  # fmt: skip
    """Train the text blocks and ``head``: the mean of a caption's tokens is to tell its piece's labels."""
    captions, pieces = _captions(seed, PIECES)
    targets = label_targets(pieces).to(device)
    learner = nn.ModuleList([network.text_in, network.text_blocks, network.text_norm or nn.Identity(), head])
    optimisers = Optimisers(*split_matrices(network.text_blocks, learner), 5e-3, 2e-3)
    log = StepLog("words", 0, steps, every=100)
    for step in range(steps):
        generator = torch.Generator().manual_seed(seed * 10**7 + step)
        chosen = torch.randint(len(captions), (batch,), generator=generator)
        wanted = type(targets)(*(t[(chosen // 5).to(device)] for t in targets))
        loss = head(_mean(network, text, [captions[i] for i in chosen.tolist()], device), wanted)
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimisers.step(warmup_cosine(step, steps, 100))
        if log.due(step + 1):
            log(step + 1, loss=loss.detach())
    print(told(network, head, text, held_out_seed, device), flush=True)


def _captions(seed: int, count: int) -> tuple[list[str], list[dict]]:
    """Five captions for each of ``count`` pieces, and the pieces' labels."""
    sheets = [sheet(seed, index) for index in range(count)]
    return [c.text for s in sheets for c in s.captions], [sheet_labels(s, 0.0) for s in sheets]


def _mean(network: MusicGenNetwork, text: TextEncoder, captions: list[str], device: str) -> Tensor:
    features = text.encode(captions)
    tokens, mask = features.tokens_BLD.to(device), features.mask_BL.to(device)
    with fast_products(device):
        return mean_text(network.encode_text(tokens, mask), mask).float()


@torch.no_grad()
def told(network: MusicGenNetwork, head: LabelHead, text: TextEncoder, seed: int, device: str) -> str:
    """How well held-out captions' own words come through: of those that name a label, the share understood."""
    sheets = [sheet(seed, index) for index in range(HELD_OUT_PIECES)]
    named = [caption for s in sheets for caption in s.captions]
    guess = head.guesses(_mean(network, text, [c.text for c in named], device))
    right: dict[str, list[bool]] = {"tempo": [], "key": [], "genre": []}
    tempo, tonic, genre = (g.argmax(-1).tolist() for g in (guess.tempo, guess.tonic, guess.genre))
    at = 0
    for s in sheets:
        truth = label_targets([sheet_labels(s, 0.0)])
        for caption in s.captions:
            if "tempo" in caption.named:
                right["tempo"].append(abs(tempo[at] - int(truth.tempo.argmax())) <= 1)
            if "key" in caption.named:
                right["key"].append(tonic[at] == int(truth.tonic))
            if "genre" in caption.named:
                right["genre"].append(genre[at] == int(truth.genre))
            at += 1
    return "words held out: " + ", ".join(
        f"{k} {sum(v) / max(len(v), 1):.2f} of {len(v)} that name it" for k, v in right.items()
    )
