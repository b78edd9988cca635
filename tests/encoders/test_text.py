"""The bundled text encoder: open vocabulary, offline, the same features alone as in a batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from toccata.encoders.text import BUNDLED, TextEncoder, load_text_encoder, save_text_encoder
from toccata.errors import InputError, WeightsError

PARAPHRASES: dict[str, list[str]] = json.loads((Path(__file__).parent / "paraphrases.json").read_text())


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return load_text_encoder()


def likeness(encoder: TextEncoder, first: str, second: str) -> float:
    a, b = encoder.encode([first, second]).pooled_BD
    return float(a @ b)


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("gloomy", "sad", "happy"),
        ("mournful", "sad", "happy"),
        ("cheerful", "happy", "sad"),
        ("joyous", "happy", "sad"),
        ("speedy", "fast", "slow"),
        ("sluggish", "slow", "fast"),
        ("presto", "fast", "slow"),
        ("adagio", "slow", "fast"),
        ("tranquil", "calm", "angry"),
        ("furious", "angry", "calm"),
        ("keys", "piano", "drums"),
        ("ukulele", "guitar", "trumpet"),
        ("fiddle", "violin", "flute"),
        ("percussion", "drums", "violin"),
        ("bebop", "jazz", "classical"),
        ("techno", "electronic", "folk"),
        ("a deafening wall of noise", "loud", "quiet"),
    ],
)
def test_a_word_lies_nearer_its_like_than_its_opposite(encoder: TextEncoder, word: str, near: str, far: str) -> None:
    assert likeness(encoder, word, near) > likeness(encoder, word, far) + 0.05


def test_most_unseen_paraphrases_find_their_concept_among_thirty(encoder: TextEncoder) -> None:
    concepts = encoder.encode(list(PARAPHRASES)).pooled_BD
    right = total = 0
    for i, phrases in enumerate(PARAPHRASES.values()):
        found = (encoder.encode(phrases).pooled_BD @ concepts.T).argmax(-1)
        right, total = right + int((found == i).sum()), total + len(phrases)
    assert total >= 200
    assert len(PARAPHRASES) == 30
    assert right / total > 0.6  # chance is 0.03


def test_tempos_are_distinct_vectors_and_near_tempos_lie_nearest(encoder: TextEncoder) -> None:
    features = encoder.encode([f"{bpm} bpm" for bpm in range(40, 241)])
    numbers = torch.nn.functional.normalize(features.tokens_BLD[:, 0], dim=-1)
    alike = numbers @ numbers.T
    assert features.mask_BL.sum(-1).eq(2).all()
    assert float(alike.fill_diagonal_(-1).max()) < 0.999
    for bpm in (60, 90, 120, 150, 180):
        near, far = alike[bpm - 40, bpm + 2 - 40], alike[bpm - 40, bpm * 5 // 4 - 40]
        assert near > 0.75
        assert near > far + 0.1
    assert float(features.pooled_BD[90 - 40] @ features.pooled_BD[170 - 40]) < 0.85


def test_a_text_alone_equals_itself_in_a_batch_exactly(encoder: TextEncoder) -> None:
    texts = ["piano", "a warm lo-fi piano over a slow boom-bap beat at 90 bpm", "sad strings", "jazz " * 64]
    batch = encoder.encode(texts)
    for i, text in enumerate(texts):
        alone = encoder.encode([text])
        length = alone.mask_BL.shape[1]
        assert torch.equal(alone.pooled_BD[0], batch.pooled_BD[i])
        assert torch.equal(alone.tokens_BLD[0], batch.tokens_BLD[i, :length])
        assert not batch.mask_BL[i, length:].any()
        assert not batch.tokens_BLD[i, length:].any()


def test_token_vectors_have_unit_rms_and_pooled_ones_unit_length(encoder: TextEncoder) -> None:
    features = encoder.encode(["warm analog synth pad with slow drums", "upbeat bluegrass banjo"])
    assert features.tokens_BLD[features.mask_BL].pow(2).mean().sqrt().item() == pytest.approx(1, abs=0.02)
    assert torch.allclose(features.pooled_BD.norm(dim=-1), torch.ones(2), atol=1e-5)
    assert features.tokens_BLD.shape[-1] == features.pooled_BD.shape[-1] == 256


def test_case_accents_and_punctuation_change_nothing(encoder: TextEncoder) -> None:
    plain, dressed = encoder.encode(["melancholy cafe jazz", "  Mélancholy, CAFÉ -- jazz!!! 🎷"]).pooled_BD
    assert torch.equal(plain, dressed)


@pytest.mark.parametrize("text", ["", "   ", "?!...", "🎵🎵", "音楽", "\ud800"])
def test_a_text_without_a_word_is_refused_with_advice(encoder: TextEncoder, text: str) -> None:
    with pytest.raises(InputError, match="has no word that can be understood"):
        encoder.encode(["piano", text])


def test_no_texts_at_all_are_refused(encoder: TextEncoder) -> None:
    with pytest.raises(InputError, match="no text"):
        encoder.encode([])


def test_a_long_prompt_is_cut_after_the_first_tokens(encoder: TextEncoder) -> None:
    words = ("slow sad piano " * 200)[:2000]
    ids, mask = encoder.tokenise([words])
    assert mask.shape == (1, encoder.config.max_tokens)
    assert mask.all()
    assert torch.equal(ids, encoder.tokenise([words[:400]])[0])


def test_an_encoder_saved_and_loaded_gives_the_same_features(encoder: TextEncoder, tmp_path: Path) -> None:
    save_text_encoder(encoder, tmp_path)
    again = load_text_encoder(tmp_path).encode(["dreamy harp"])
    assert torch.equal(again.tokens_BLD, encoder.encode(["dreamy harp"]).tokens_BLD)


def test_a_folder_without_its_tokeniser_or_of_another_model_is_refused(encoder: TextEncoder, tmp_path: Path) -> None:
    save_text_encoder(encoder, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"weights": config["weights"]}))
    with pytest.raises(WeightsError, match="no text encoder"):
        load_text_encoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        load_text_encoder(tmp_path)


def test_the_shipped_encoder_is_small() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) <= 8 * 2**20


def test_encoding_needs_no_transformers_library() -> None:
    code = "import sys; from toccata.encoders.text import load_text_encoder as l; l().encode(['a']); "
    code += "sys.exit(any(name in sys.modules for name in ('transformers', 'sentence_transformers')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
