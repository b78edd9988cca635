"""Makes the bundled text encoder, a table of word vectors, in two steps.

1. A sentence encoder (all-MiniLM-L6-v2) is asked about every word, alone and followed by "music"; the principal
   components of its answers, weighted by Zipf's law, are the table (Arora et al., "A simple but tough-to-beat baseline
   for sentence embeddings", 2017).
2. WordNet teaches the table: a word moves towards its synonyms, kinds and definitions and away from its opposites
   (Mrksic et al., "Counter-fitting word vectors to linguistic constraints", 2016, with a contrastive loss).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from toccata.encoders.text import BUNDLED, UNKNOWN, TextConfig, TextEncoder, save_text_encoder
from toccata.recipes.minilm import MiniLM
from toccata.recipes.wordnet import Lesson, Synset, draw, importance, read

PAD = "[PAD]"
SIF = 1e-3
TEMPOS = range(30, 301)  # numbers that can be beats a minute
# What musicians say, the teacher splits and WordNet (2006) does not count as music.
MUSIC_WORDS = """
afrobeat afrobeats airy allemande amapiano anthemic arpeggiated arpeggiator arpeggios autoharp autotune bachata
balafon banger bangers bansuri bassline basslines bassoons beatbox bhangra bitcrushed bittersweet bluesy bodhran
bongos boombap bossa bossanova bouncy bourree bouzouki breakbeat breakbeats breathy broody cabasa cajon cajun
cantabile cellos charango chillhop chillout chillwave chiptune chiptunes choro chunky claps clarinets clavinet clubby
coldwave concertos congas cowbell crunchy cuatro cumbia cyberpunk dancey danzon darkwave daw dembow didgeridoo
dixieland dizi djembe dolce doomy doowop downtempo dreampop dreamy dubstep duduk earworm edm eightbit electronica
electropop electroswing erhu ethereal eurobeat eurodance fado filmic fingerpicked fingerpicking fingerstyle flanger
floaty folky forro fugues futurepop fuzzed gamelan ghazal glassy glitchy gloomy grime gritty groovy grungy guiro
guzheng handclaps hardbop hardstyle hifi highlife hihat hihats hiphop hurdy italo jangly jigs kalimba kickdrum kizomba
klezmer kora krautrock kuduro laidback lofi lullabies maestoso mandola mathcore mbira melancholic mellotron mellow
melodica merengue metalcore mezzo midtempo milonga minimalist neosoul newgrass ney nocturnes nostalgic oboes ondes oud
overdriven phaser pipa plinky plucky polyrhythm polyrhythmic portamento postrock preludes psychedelia psytrance punchy
qawwali raga reels reggaeton requinto retrowave reverb reverby riffing riffs rimshot ronroco santoor sarabande sarod
sawtooth saxophones saz scherzo sequencer shaker shakuhachi shanties shimmery shoegaze sidechain sludge snares soca
sonatas spacey spacy sparkly spirituals steampunk steamy strummed strumming subbass sultry supersaw synthpop synthwave
tabla taiko tanpura timbales toccatas toms triphop trippy trombones twangy twinkly uilleann ukuleles uptempo vallenato
vaporwave veena videogame violas vocoder vst waltzes wistful wobble wobbly woogie wurlitzer zouk zurna
"""


@dataclass(frozen=True)
class TextRecipe:
    """Where the encoder goes (``out``), where WordNet lies, the table's size (``words`` added whole), step 2's plan."""

    out: Path = BUNDLED
    seed: int = 0
    wordnet: Path = Path("/usr/share/wordnet")
    words: int = 2800
    width: int = 256
    max_tokens: int = 64
    steps: int = 600
    batch: int = 512
    rate: float = 2e-3
    temperature: float = 0.07


def train(recipe: TextRecipe) -> None:
    """Make the encoder and write it to ``recipe.out``: three minutes on an idle core, the same bytes each time."""
    torch.set_num_threads(1)
    teacher = MiniLM()
    synsets = read(recipe.wordnet)
    pieces = kept_pieces(teacher.tokeniser)
    words = whole_words(synsets, teacher.tokeniser, recipe.words)
    tokeniser = student_tokeniser(teacher.tokeniser, pieces + words)
    print(f"vocabulary: {len(pieces)} word pieces of the teacher's and {len(words)} whole words", flush=True)

    rows_VD = principal(heard(alone(pieces, words, teacher.tokeniser), teacher), recipe.width)
    weights_V = torch.cat([zipf_weights(len(pieces)), torch.ones(len(words))])
    table_VD = F.pad(rows_VD * weights_V[:, None], (0, 0, 2, 0))
    print("asked the teacher about each", flush=True)

    table_VD = taught(table_VD, synsets, tokeniser, recipe)
    table_VD[[tokeniser.token_to_id(str(bpm)) for bpm in TEMPOS]] = tempo_rows(table_VD, tokeniser, recipe.seed)
    encoder = build(TextConfig(len(table_VD), recipe.width, recipe.max_tokens), tokeniser, table_VD)
    save_text_encoder(encoder, recipe.out)
    size = sum(path.stat().st_size for path in recipe.out.iterdir())
    print(f"wrote {recipe.out}: {len(table_VD)} rows, {size / 2**20:.2f} MiB")


def kept_pieces(tokeniser: Tokenizer) -> list[str]:
    """The teacher's pieces that English prompts need, in its order, which is that of frequency."""
    ordered = sorted(tokeniser.get_vocab().items(), key=lambda item: item[1])
    return [piece for piece, _ in ordered if re.fullmatch(r"(##)?([a-z]+|[0-9]{1,4}s?|#)", piece)]


def whole_words(synsets: list[Synset], tokeniser: Tokenizer, count: int) -> list[str]:
    """Words that the teacher splits and the student shall not: tempos, musicians' words, then WordNet's."""
    tempos = [str(bpm) for bpm in TEMPOS]
    musical = [word for synset in synsets if synset.musical for word in synset.words]
    qualities = [word for synset in synsets if synset.part in "as" for word in synset.words]
    single = [word for word in musical + qualities if re.fullmatch(r"[a-z]{3,12}", word)]
    vocabulary = tokeniser.get_vocab()
    return list(dict.fromkeys(word for word in [*tempos, *MUSIC_WORDS.split(), *single] if word not in vocabulary))[
        :count
    ]


def alone(pieces: list[str], words: list[str], tokeniser: Tokenizer) -> list[list[int]]:
    """The teacher's ids for each entry of the vocabulary on its own, between [CLS] and [SEP]."""
    vocabulary = tokeniser.get_vocab()
    start, end = vocabulary["[CLS]"], vocabulary["[SEP]"]
    ids = [[vocabulary[piece]] for piece in pieces]
    ids += [encoding.ids for encoding in tokeniser.encode_batch(words, add_special_tokens=False)]
    return [[start, *row, end] for row in ids]


def heard(rows: list[list[int]], teacher: MiniLM) -> Tensor:
    """The teacher's ``(V, 384)`` opinion of each entry: alone, and as a kind of music, each less what all share."""
    music = teacher.tokeniser.get_vocab()["music"]
    views = (rows, [[*row[:-1], music, row[-1]] for row in rows])
    embedded = [teacher.embed_ids(view) for view in views]
    return torch.stack([view - view.mean(0) for view in embedded]).sum(0)


def principal(rows_VD: Tensor, width: int) -> Tensor:
    """``rows_VD`` less their mean, on their first ``width`` principal components (signs fixed by the largest entry)."""
    centred = (rows_VD - rows_VD.mean(0)).double()
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    basis = vectors.flip(1)[:, :width]
    signs = basis.gather(0, basis.abs().argmax(0, keepdim=True)).sign()
    return (centred @ (basis * signs)).float()


def zipf_weights(count: int) -> Tensor:
    """a / (a + p) for words in order of frequency, with p by Zipf's law: near 0 for "the", near 1 for rare words."""
    odds = 1 / (torch.arange(count) + 2.7)
    return SIF / (SIF + odds / odds.sum())


def student_tokeniser(teacher: Tokenizer, entries: list[str]) -> Tokenizer:
    """The teacher's rules over the student's vocabulary: padding is id 0, whatever is not understood id 1."""
    rules = json.loads(teacher.to_str())
    vocab = {token: i for i, token in enumerate([PAD, UNKNOWN, *entries])}
    special = [token for token in rules["added_tokens"] if token["content"] in (PAD, UNKNOWN)]
    added = [{**token, "id": vocab[token["content"]]} for token in special]
    rules.update(truncation=None, padding=None, post_processor=None, decoder=None, added_tokens=added)
    rules["model"]["vocab"] = vocab
    return Tokenizer.from_str(json.dumps(rules))


def taught(table_VD: Tensor, synsets: list[Synset], tokeniser: Tokenizer, recipe: TextRecipe) -> Tensor:
    """``table_VD`` after WordNet's lessons: each word picks out its partner among the batch's, and not its opposite."""
    rng = np.random.default_rng(recipe.seed)
    odds = importance(synsets)
    table = torch.nn.Parameter(table_VD.clone())
    optimiser = torch.optim.Adam([table], lr=recipe.rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / 100) * (1 - step / recipe.steps)
    )
    for step in range(recipe.steps):
        loss = contrast(table, draw(synsets, odds, recipe.batch, rng), tokeniser, recipe.temperature)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == recipe.steps - 1:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return table.detach()


def contrast(table: Tensor, lessons: list[Lesson], tokeniser: Tokenizer, temperature: float) -> Tensor:
    """InfoNCE both ways between words and partners; a word's opposite stands beside its wrong partners."""
    words_BD = bags(table, [lesson.word for lesson in lessons], tokeniser)
    partners_BD = bags(table, [lesson.partner for lesson in lessons], tokeniser)
    opposites_BD = bags(table, [lesson.opposite or "" for lesson in lessons], tokeniser)
    meaning = torch.tensor([lesson.synset for lesson in lessons])
    twice = (meaning[:, None] == meaning) & ~torch.eye(len(lessons), dtype=torch.bool)
    scores = (words_BD @ partners_BD.T / temperature).masked_fill(twice, -1e4)
    against = (words_BD * opposites_BD).sum(-1, keepdim=True) / temperature
    none = torch.tensor([[lesson.opposite is None] for lesson in lessons])
    aims = torch.arange(len(lessons))
    wider = torch.cat([scores, against.masked_fill(none, -1e4)], 1)
    return F.cross_entropy(wider, aims) + F.cross_entropy(scores.T, aims)


def bags(table: Tensor, texts: list[str], tokeniser: Tokenizer, longest: int = 24) -> Tensor:
    """``(texts, D)`` unit sums of the first ``longest`` tokens' rows; zeros where a text has no known token."""
    unknown = tokeniser.token_to_id(UNKNOWN)
    ids = [[i for i in encoding.ids if i != unknown][:longest] for encoding in tokeniser.encode_batch(texts)]
    starts = torch.tensor([0] + [len(row) for row in ids[:-1]]).cumsum(0)
    flat = torch.tensor([i for row in ids for i in row], dtype=torch.int64)
    return F.normalize(F.embedding_bag(flat, table, starts, mode="sum"), dim=-1, eps=1e-6)


def tempo_rows(table_VD: Tensor, tokeniser: Tokenizer, seed: int) -> Tensor:
    """``(tempos, D)`` rows for numbers: half what numbers share, half waves of the tempo's logarithm.

    Near tempos lie close and far ones apart, which the teacher's opinion of numbers does not give.
    """
    rows = table_VD[[tokeniser.token_to_id(str(bpm)) for bpm in TEMPOS]]
    octaves = torch.tensor(TEMPOS).log2()
    phases = 2 * torch.pi * octaves[:, None] * torch.linspace(0.1, 6, 24)
    waves = torch.cat([phases.cos(), phases.sin()], 1)
    spread = torch.randn(waves.shape[1], rows.shape[1], generator=torch.Generator().manual_seed(seed))
    own = F.normalize(waves @ spread, dim=-1)
    shared = F.normalize(rows.mean(0), dim=0)
    return F.normalize(own + shared, dim=-1) * rows.norm(dim=-1).mean()


def build(config: TextConfig, tokeniser: Tokenizer, table_VD: Tensor) -> TextEncoder:
    """An encoder with int8 rows of unit RMS and weights that are the table's norms (the first two rows are zero)."""
    norms_V = table_VD.norm(dim=-1)
    unit_VD = F.normalize(table_VD, dim=-1) * config.width**0.5
    scales_V = (unit_VD.abs().amax(-1) / 127).half()
    encoder = TextEncoder(config, tokeniser)
    encoder.rows_VD.copy_((unit_VD / scales_V.float().clamp(min=1e-6)[:, None]).round().clamp(-127, 127))
    encoder.scales_V.copy_(scales_V)
    encoder.weights_V.copy_(norms_V)
    return encoder


if __name__ == "__main__":
    train(TextRecipe())
