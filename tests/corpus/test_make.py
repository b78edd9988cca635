"""A corpus is the same bytes for the same seed, whole after any cut, and its labels are true."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toccata.corpus.band import ROLL_WIDTH, labels, piece, score_roll
from toccata.corpus.make import make
from toccata.corpus.score import Note, Score, Section, Track
from toccata.errors import InputError, OutputError

RATE = 8000
HOURS = 0.02  # three pieces or so

pytestmark = pytest.mark.usefixtures("fonts")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def corpus(fonts: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "band"
    make(folder, HOURS, seed=5, sample_rate=RATE)
    return folder


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_a_piece_depends_on_its_seed_and_index_alone():
    first = piece(1, 7, sample_rate=RATE)
    piece(1, 8, sample_rate=RATE)
    again = piece(1, 7, sample_rate=RATE)
    assert again.score == first.score
    assert again.captions == first.captions
    assert np.array_equal(again.mix_CN, first.mix_CN)
    assert piece(2, 7, sample_rate=RATE).score != first.score


def test_labels_are_the_scores_own_and_ready_for_json():
    made = piece(3, 0, sample_rate=RATE)
    score, known = made.score, json.loads(json.dumps(labels(made)))
    assert known["tempo"] == score.tempo
    assert (known["key"], known["tonic"], known["mode"]) == (score.key, score.tonic, score.mode)
    assert set(known["instruments"]) == {track.instrument for track in score.tracks}
    assert known["drums"] == ("drums" in known["families"])
    assert known["seconds"] == pytest.approx(made.mix_CN.shape[1] / RATE, abs=1e-3)
    assert known["sections"][-1]["end"] <= known["seconds"]
    assert len(known["captions"]) == 5
    for caption in known["captions"]:
        assert set(caption["named"].get("instruments", [])) <= set(known["instruments"])
        assert caption["named"].get("genre", known["genre"]) == known["genre"]


def test_a_score_roll_says_what_sounds_in_each_frame():
    score = Score(
        tempo=60, meter=(4, 4), tonic=0, mode="major", genre="pop", moods=(), chords=(), beats=4,
        sections=(Section("verse", 0, 4),),
        tracks=(
            Track("bass guitar", "bass", (Note(0, 2, 36, 90),)),
            Track("flute", "melody", (Note(1, 1, 74, 90), Note(3.9, 9, 75, 90))),
            Track("drums", "drums", (Note(2, 0.5, 36, 90), Note(2, 0.5, 42, 90), Note(3, 0.5, 38, 90))),
        ),
    )  # fmt: skip
    roll_TD = score_roll(score, 10, 40)
    expected = np.zeros((40, ROLL_WIDTH), np.float32)
    expected[0:20, 0] = expected[10:20, 12 + 2] = expected[39:, 12 + 3] = 1
    expected[20, [24, 26]] = expected[30, 25] = 1
    assert np.array_equal(roll_TD, expected)


def test_the_manifest_tells_of_every_file(corpus: Path):
    rows = rows_of(corpus)
    assert sorted(row["path"] for row in rows) == sorted(str(p.relative_to(corpus)) for p in corpus.rglob("*.flac"))
    assert sum(row["seconds"] for row in rows) >= HOURS * 3600
    for row in rows:
        info = soundfile.info(corpus / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 2, "PCM_16")
        assert info.duration == pytest.approx(row["seconds"], abs=1e-3)
        assert row["labels"]["tempo"] > 0
        assert len(row["captions"]) == 5


def test_files_hold_what_piece_plays(corpus: Path):
    written, _ = soundfile.read(corpus / rows_of(corpus)[1]["path"], dtype="float32")
    np.testing.assert_allclose(written.T, piece(5, 1, sample_rate=RATE).mix_CN, atol=1 / 32000)


def test_the_number_of_workers_changes_no_byte(corpus: Path, tmp_path: Path):
    heard: list[tuple[float, float]] = []
    make(tmp_path / "band", HOURS, 5, workers=2, sample_rate=RATE, progress=lambda *seconds: heard.append(seconds))
    assert bytes_of(tmp_path / "band") == bytes_of(corpus)
    assert heard == sorted(heard)
    assert heard[-1][0] >= heard[-1][1] == HOURS * 3600


def test_a_killed_run_goes_on_to_the_same_folder(corpus: Path, tmp_path: Path):
    folder = tmp_path / "band"
    code = f"from toccata.corpus.make import make\nmake({str(folder)!r}, 1, 5, 1, {RATE})"
    run = subprocess.Popen([sys.executable, "-c", code])
    while not list(folder.rglob("*.flac")):
        assert run.poll() is None
        time.sleep(0.02)
    run.kill()
    run.wait()
    (folder / "0000" / ".toccata-1.part").write_bytes(b"half a file")
    (folder / "corpus.json").write_bytes((corpus / "corpus.json").read_bytes())
    make(folder, HOURS, 5, sample_rate=RATE)
    assert bytes_of(folder) == bytes_of(corpus)


def test_more_hours_extend_a_corpus_and_fewer_are_refused(tmp_path: Path):
    make(tmp_path, 0.001, 6, sample_rate=RATE)
    before = {path: data for path, data in bytes_of(tmp_path).items() if path.endswith(".flac")}
    make(tmp_path, HOURS, 6, sample_rate=RATE)
    after = bytes_of(tmp_path)
    assert len(after) > len(before) + 2
    assert all(after[path] == data for path, data in before.items())
    with pytest.raises(InputError, match=r"holds 0\.02 hours"):
        make(tmp_path, 0.001, 6, sample_rate=RATE)


def test_stems_add_up_to_the_mix(tmp_path: Path):
    make(tmp_path, 0.001, 7, sample_rate=RATE, stems=True)
    path = tmp_path / rows_of(tmp_path)[0]["path"]
    stems = [soundfile.read(stem)[0] for stem in path.with_suffix("").glob("*.flac")]
    assert len(stems) >= 2
    np.testing.assert_allclose(sum(stems), soundfile.read(path)[0], atol=len(stems) / 32000)


@pytest.mark.parametrize(("change", "words"), [({"seed": 8}, "seed 5, not 8"), ({"sample_rate": 16000}, "sample rate")])
def test_a_folder_keeps_one_corpus(corpus: Path, change: dict[str, int], words: str):
    before = bytes_of(corpus)
    with pytest.raises(InputError, match=words):
        make(corpus, HOURS, **{"seed": 5, "sample_rate": RATE, **change})  # type: ignore[arg-type]
    assert bytes_of(corpus) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        make(tmp_path, HOURS)
    assert bytes_of(tmp_path) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize(
    "wrong", [{"hours": 0}, {"hours": float("nan")}, {"workers": 0}, {"seed": -1}, {"sample_rate": 100}]
)
def test_impossible_wishes_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, float]):
    with pytest.raises(InputError):
        make(tmp_path / "band", **{"hours": HOURS, **wrong})  # type: ignore[arg-type]
    assert not (tmp_path / "band").exists()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        make(tmp_path / "file" / "band", HOURS)


def test_a_full_disk_leaves_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.replace

    def full(part: Path, target: str) -> None:
        if str(target).endswith("0000001.flac"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(part, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        make(tmp_path, HOURS, 5, sample_rate=RATE)
    assert set(bytes_of(tmp_path)) == {"corpus.json", "0000/0000000.flac"}
