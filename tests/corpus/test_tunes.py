"""What the band makes of borrowed music: tunes read right, harmonised well, moved whole, and labelled truly."""

import io
import struct
import zipfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from toccata.corpus.abcnotation import AbcTune, read_abc, split_tunes
from toccata.corpus.arrange import arrange, count_in, key_of
from toccata.corpus.band import sheet
from toccata.corpus.chorale import Chorale, read_chorale, set_chorale
from toccata.corpus.gamemusic import cut, read_wad
from toccata.corpus.harmonise import harmonise
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.keyfinding import find_key
from toccata.corpus.midifile import read_midi
from toccata.corpus.score import Score
from toccata.corpus.theory import roman_chord
from toccata.corpus.tunefiles import FREEDOOM, MUSIC21, collection_file
from toccata.corpus.tunes import SOURCES, draw_source, tune
from toccata.errors import InputError

JIG = """X:1
T:A Made-Up Jig.
M:6/8
L:1/8
K:D
A|dfa afd|gbg faf|dfa afd|efe A2A|
dfa afd|gbg faf|efg ecA|ded d2:|
|:a|faf dfd|gbg ege|faf dfd|efe A2a|
faf dfd|gbg ege|efg ecA|ded d2:|
"""
REEL = """X:2
T:A Made-Up Reel
M:C|
L:1/8
K:Ador
EAAB cBAG|EGGF G2GF|EAAB cBAG|EDEG A2A2|
EAAB cBAG|EGGF G2GF|EAAB cdef|gedB A2A2:|
"""


def body(notes: str, key: str = "C", meter: str = "4/4", unit: str = "1/4") -> AbcTune:
    return read_abc(f"X:1\nT:Test\nM:{meter}\nL:{unit}\nK:{key}\n{notes}\n")


def pitches(notes: str, key: str = "C") -> list[int]:
    return [note.pitch for strain in body(notes, key).strains for note in strain.notes]


def beats(notes: str, **header: str) -> list[float]:
    return [note.beats for strain in body(notes, **header).strains for note in strain.notes]


class TestNotation:
    def test_octaves_and_accidentals(self) -> None:
        assert pitches("C,CcC'|") == [48, 60, 72, 72]
        assert pitches("^F=FF_B|B4|") == [66, 65, 65, 70, 71]

    def test_an_accidental_holds_for_its_bar_in_every_octave(self) -> None:
        assert pitches("^c2 C2|c4|") == [73, 61, 72]

    def test_signatures_and_modes(self) -> None:
        assert pitches("FCGB|", "D") == [66, 61, 67, 71]
        assert pitches("BEAF|", "Gm") == [70, 63, 69, 65]
        assert pitches("FGBC|", "A Dorian") == [66, 67, 71, 60]
        assert pitches("FCGB|", "Dmix") == [66, 60, 67, 71]

    def test_lengths(self) -> None:
        assert beats("C2D/E/F|") == [2, 0.5, 0.5, 1]
        assert beats("C>D E<F|") == [1.5, 0.5, 0.5, 1.5]

    def test_triplets_take_the_time_of_two(self) -> None:
        assert beats("(3CDE F2|") == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])

    def test_a_tie_joins_one_pitch_and_slurs_two(self) -> None:
        assert pitches("C2-C2|C2-D2|") == [60, 60, 62]
        assert beats("C2-C2|C2-D2|") == [4, 2, 2]

    def test_ornaments_grace_notes_and_texts_make_no_notes(self) -> None:
        assert pitches('"Am"~C {de}D !trill!.E "4"uF|') == [60, 62, 64, 65]

    def test_the_upper_note_of_a_double_stop(self) -> None:
        assert pitches("[CE]2 [c2e2]|") == [64, 76]

    def test_an_upbeat_comes_before_the_first_bar(self) -> None:
        strain = read_abc(JIG).strains[0]
        assert strain.notes[0].start == -0.5
        assert strain.notes[1].start == 0
        assert strain.bars == 8

    def test_strains_end_at_repeats_and_a_second_ending_replaces_the_first(self) -> None:
        assert [s.bars for s in read_abc(JIG).strains] == [8, 8]
        found = body("CDEF|1 G4:|2 c4|]EEEE|]")
        assert [[n.pitch for n in s.notes] for s in found.strains] == [[60, 62, 64, 65, 72], [64] * 4]

    def test_a_book_falls_into_its_tunes(self) -> None:
        assert [read_abc(text).title for text in split_tunes("% a book\n" + JIG + "\n" + REEL)] == [
            "A Made-Up Jig", "A Made-Up Reel",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        ["", "hello", "X:1\nT:No key\nCDEF|", "X:1\nK:H\nCDEF|", "X:1\nM:odd\nK:C\nC4|", "X:1\nL:x\nK:C\nC4|",
         "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|CDE|CDEF|CDEF|", "X:1\nL:1/4\nK:C\nC/0DEF|", "X:1\nK:C\nz4|"],
    )  # fmt: skip
    def test_what_is_no_tune_is_one_clear_line(self, text: str) -> None:
        with pytest.raises(InputError) as caught:
            arrange(np.random.default_rng(0), read_abc(text), 20, "a book")
        assert "\n" not in str(caught.value)


class TestKeys:
    def test_scales_with_a_final_are_known(self) -> None:
        scale = [2.0, 0, 1, 0, 1.5, 1, 0, 1.8, 0, 1, 0, 1]
        assert find_key(scale, 0) == (0, "major")
        assert find_key(np.roll(scale, 5).tolist(), 5) == (5, "major")

    def test_a_raised_leading_tone_leaves_minor_minor(self) -> None:
        harmonic = [2.0, 0, 1, 1.4, 0, 1, 0, 1.8, 1, 0, 0, 0.8]
        assert find_key(harmonic, 0) == (0, "minor")

    def test_a_named_mode_is_believed_and_a_plain_signature_is_checked(self) -> None:
        assert key_of(read_abc(REEL)) == (9, "dorian")
        assert key_of(read_abc(REEL.replace("Ador", "G"))) == (9, "dorian")
        assert key_of(read_abc(JIG)) == (2, "major")


class TestHarmony:
    def test_strong_beats_hold_chord_tones_and_the_end_comes_home(self) -> None:
        melody = count_in(read_abc(JIG))
        for strain in melody.strains:
            chords = harmonise(np.random.default_rng(0), strain.notes, strain.bars, 3.0, 2, melody.key)
            assert len(chords) == strain.bars
            assert chords[-1][-1] == "I"
            assert chords[-2][-1] in ("V", "V7", "IV")
            for note in strain.notes:
                if note.start >= 0 and note.start % 3 == 0:
                    first = roman_chord(chords[int(note.start // 3)][0], *melody.key)
                    assert note.pitch % 12 in first.pitch_classes

    def test_a_reel_counts_two_bars_as_one_of_four_beats(self) -> None:
        melody = count_in(read_abc(REEL))
        assert melody.meter == (4, 4)
        assert melody.strains[0].bars == 4
        assert melody.strains[0].notes[0].beats == 0.25


def lead_of(score: Score) -> list[int]:
    """The pitches of a score's single melody, without its ending."""
    tracks = [track for track in score.tracks if track.role == "melody"]
    end = score.sections[-1].start
    return (
        [note.pitch for track in tracks for note in track.notes if note.start < end - 0.2] if len(tracks) == 1 else []
    )


@pytest.mark.parametrize("text", [JIG, REEL], ids=["jig", "reel"])
@pytest.mark.parametrize("seed", range(6))
class TestArrangement:
    def test_labels_are_true(self, text: str, seed: int) -> None:
        score = arrange(np.random.default_rng(seed), read_abc(text), 24, "a book")
        assert score.source.startswith("tune: A Made-Up")
        assert score.mode == ("major" if text is JIG else "dorian")
        assert score.meter == ((6, 8) if text is JIG else (4, 4))
        bar = score.meter[0] * 4 / score.meter[1]
        assert score.beats % bar == 0
        assert abs(score.seconds - 24) <= bar * score.seconds_per_beat
        assert sum(section.beats for section in score.sections) == score.beats
        root = score.chords[-1][1].rstrip("m")
        assert root == ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")[score.tonic]
        for track in score.tracks:
            assert all(0 <= n.start < score.beats and n.start + n.duration <= score.beats + 1e-6 for n in track.notes)

    def test_the_tune_keeps_its_contour_in_any_key(self, text: str, seed: int) -> None:
        score = arrange(np.random.default_rng(seed), read_abc(text), 24, "a book")
        written = {
            tuple(b.pitch - a.pitch for a, b in pairwise(notes[i : i + 12]))
            for notes in [[n for n in strain.notes if n.start >= 0] for strain in read_abc(text).strains]
            for i in range(len(notes) - 11)
        }
        lead = lead_of(score)
        if lead:
            assert tuple(b - a for a, b in pairwise(lead[-12:])) in written
        scale = {(score.tonic + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
        if text is JIG:
            assert {pitch % 12 for pitch in lead} <= scale

    def test_players_stay_within_their_range(self, text: str, seed: int) -> None:
        for track in arrange(np.random.default_rng(seed), read_abc(text), 24, "a book").tracks:
            sound = INSTRUMENTS[track.instrument]
            if track.role == "melody":
                assert all(sound.low <= note.pitch <= sound.high for note in track.notes)

    def test_the_same_seed_is_the_same_score(self, text: str, seed: int) -> None:
        one, two = (arrange(np.random.default_rng(seed), read_abc(text), 20, "b") for _ in range(2))
        assert one == two


def test_every_key_is_reached() -> None:
    found = {arrange(np.random.default_rng(seed), read_abc(JIG), 12, "b").tonic for seed in range(30)}
    assert len(found) >= 9


def musicxml(parts: list[list[tuple[str, int, int]]]) -> bytes:
    """A compressed MusicXML file of one-measure lists of (step, octave, quarters), an upbeat of one quarter first."""
    text = ""
    for part in parts:
        measures, filled = [[part[0]], []], 0
        for note in part[1:]:
            measures[-1].append(note)
            filled += note[2]
            if filled % 4 == 0:
                measures.append([])
        text += "<part>"
        for i, measure in enumerate(m for m in measures if m):
            head = "<attributes><divisions>2</divisions><key><fifths>0</fifths><mode>major</mode></key>"
            head += "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
            text += "<measure>" + (head if i == 0 else "")
            for step, octave, quarters in measure:
                text += f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
                text += f"<duration>{2 * quarters}</duration></note>"
            text += "</measure>"
        text += "</part>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("score.xml", f"<score-partwise>{text}</score-partwise>")
    return out.getvalue()


def small_chorale() -> Chorale:
    lines = ("GCDEFGFEDEFEDDCC", "EGGCDEDCBCDCBBGG", "CEGGAGAGGGAGGGEE", "CCBCFEDCGCFGGGCC")
    octaves = (5, 4, 4, 3)
    parts = [[(s, o, 1) for s in line] + [(line[-1], o, 1)] for line, o in zip(lines, octaves, strict=True)]
    return read_chorale(musicxml(parts), "BWV 0")


class TestChorales:
    def test_four_voices_are_read_from_the_first_full_bar(self) -> None:
        chorale = small_chorale()
        assert chorale.bars == 4
        assert [note.pitch for note in chorale.voices[0][:3]] == [72, 74, 76]
        assert chorale.voices[3][0].start == 0

    @pytest.mark.parametrize("seed", range(4))
    def test_all_voices_move_together_and_the_labels_follow(self, seed: int) -> None:
        chorale = small_chorale()
        score = set_chorale(np.random.default_rng(seed), chorale, 25)
        moves = {t.notes[-1].pitch - voice[-1].pitch for t, voice in zip(score.tracks, chorale.voices, strict=True)}
        assert len(moves) == 1
        assert (score.tonic, score.mode) == (moves.pop() % 12, "major")
        assert score.beats % 4 == 0
        assert abs(score.seconds - 25) <= 4 * score.seconds_per_beat
        for track in score.tracks:
            sound = INSTRUMENTS[track.instrument]
            assert all(sound.low <= note.pitch <= sound.high for note in track.notes)

    @pytest.mark.parametrize("data", [b"", b"PK\3\4 no zip", musicxml([[("C", 4, 4)] * 5] * 3)])
    def test_other_files_are_one_clear_line(self, data: bytes) -> None:
        with pytest.raises(InputError, match="BWV 0"):
            read_chorale(data, "BWV 0")


def midi(bpm: float = 120, stagger: float = 0.0) -> bytes:
    """A format-1 file at 480 ticks: 16 bars of 4/4 with piano chords I IV V I, a bass, a flute and drums."""

    def track(events: list[tuple[float, bytes]]) -> bytes:
        data, now = b"", 0
        for beat, message in sorted(events, key=lambda event: event[0]):
            ticks = round(beat * 480)
            delta, now = ticks - now, ticks
            data += bytes([0x80 | delta >> 7, delta & 127] if delta > 127 else [delta]) + message
        data += b"\0\xff\x2f\0"
        return b"MTrk" + struct.pack(">I", len(data)) + data

    def notes(channel: int, program: int, played: list[tuple[float, float, int]]) -> bytes:
        events = [(0.0, bytes([0xC0 | channel, program]))]
        for start, length, pitch in played:
            late = stagger * (start % 1.7)
            events.append((start + late, bytes([0x90 | channel, pitch, 90])))
            events.append((start + length * 0.9 + late, bytes([0x80 | channel, pitch, 0])))
        return track(events)

    roots = (0, 5, 7, 0)
    chords = [(b * 4.0, 4.0, 60 + roots[b % 4] % 12 + k) for b in range(16) for k in (0, 4, 7)]
    bass = [(b * 4.0 + i, 1.0, 36 + roots[b % 4]) for b in range(16) for i in range(4)]
    line = [(b * 4.0 + i, 1.0, 76 + roots[b % 4] - (0, 4, 0, 4)[i]) for b in range(16) for i in range(4)]
    drums = [(b * 4.0 + i, 0.5, (36, 38, 36, 38)[i]) for b in range(16) for i in range(4)]
    tempo = struct.pack(">I", round(60e6 / bpm))[1:]
    head = track([(0.0, b"\xff\x51\x03" + tempo), (0.0, b"\xff\x58\x04\x04\x02\x18\x08")])
    tracks = [head, notes(0, 0, chords), notes(1, 33, bass), notes(2, 73, line), notes(9, 0, drums)]
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), 480) + b"".join(tracks)


class TestGameMusic:
    def test_a_wad_gives_its_music_lumps(self, tmp_path: Path) -> None:
        lumps = {b"D_E1M1": b"one", b"FLOOR": b"xx", b"D_E1M2": b"two!"}
        table, data = b"", b""
        for name, lump in lumps.items():
            table += struct.pack("<ii8s", 12 + len(data), len(lump), name)
            data += lump
        path = tmp_path / "game.wad"
        path.write_bytes(struct.pack("<4sii", b"IWAD", 3, 12 + len(data)) + data + table)
        assert read_wad(path) == {"E1M1": b"one", "E1M2": b"two!"}

    @pytest.mark.parametrize("data", [b"", b"PK\3\4" + bytes(20), struct.pack("<4sii", b"IWAD", 9, 12)])
    def test_a_damaged_wad_is_one_clear_line(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / "bad.wad"
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"bad\.wad"):
            read_wad(path)

    @pytest.mark.parametrize("data", [b"", b"hello", midi()[:60]])
    def test_a_damaged_midi_file_is_one_clear_line(self, data: bytes) -> None:
        with pytest.raises(InputError, match="'E1M1'"):
            read_midi(data, "E1M1")

    def test_midi_notes_have_the_pitches_and_lengths_of_the_file(self) -> None:
        recording = read_midi(midi(100), "E1M1")
        assert [(part.program, part.is_drums) for part in recording.parts] == [
            (0, False), (33, False), (73, False), (0, True),
        ]  # fmt: skip
        assert recording.tempos == ((0.0, pytest.approx(100)),)
        assert recording.meters == ((0.0, (4, 4)),)
        first = recording.parts[1].notes[:2]
        assert [(n.start, n.beats, n.pitch, n.level) for n in first] == [(0, 0.9, 36, 90), (1, 0.9, 36, 90)]

    def test_no_cut_or_flipped_byte_of_a_midi_file_does_harm(self) -> None:
        whole, rng = midi(), np.random.default_rng(0)
        for _ in range(200):
            data = bytearray(whole[: int(rng.integers(len(whole) + 1))])
            if data:
                data[int(rng.integers(len(data)))] = int(rng.integers(256))
            with suppress(InputError):
                assert read_midi(bytes(data), "E1M1").parts

    @pytest.mark.parametrize("seed", range(4))
    def test_labels_are_those_of_the_music(self, seed: int) -> None:
        score = cut(np.random.default_rng(seed), read_midi(midi(), "E1M1"), 12)
        assert score.tempo == pytest.approx(120, rel=0.06)
        assert score.meter == (4, 4)
        assert score.beats % 4 == 0
        assert abs(score.seconds - 12) <= 4 * score.seconds_per_beat
        assert score.mode == "major"
        by_role = {track.role: track for track in score.tracks}
        assert by_role["bass"].instrument == "bass guitar"
        assert by_role["melody"].instrument == "flute"
        assert by_role["chords"].instrument == "piano"
        assert {n.pitch % 12 for n in by_role["bass"].notes} == {(score.tonic + step) % 12 for step in (0, 5, 7)}
        assert {note.pitch for note in by_role["drums"].notes} == {36, 38}

    def test_music_that_does_not_keep_to_its_tempo_is_refused(self) -> None:
        with pytest.raises(InputError, match="keeps to one tempo"):
            cut(np.random.default_rng(0), read_midi(midi(stagger=0.23), "E1M1"), 12)

    def test_more_than_there_is_is_refused(self) -> None:
        with pytest.raises(InputError, match="300 seconds"):
            cut(np.random.default_rng(0), read_midi(midi(), "E1M1"), 300)


class TestSources:
    def test_composed_pieces_are_most_beside_borrowed_ones(self) -> None:
        drawn = [draw_source(np.random.default_rng(i), ("composer", "ryan", "bach")) for i in range(1000)]
        assert 100 < sum(name != "composer" for name in drawn) < 200
        assert set(drawn) == {"composer", "ryan", "bach"}
        assert draw_source(np.random.default_rng(0), ("composer",)) == "composer"

    def test_wrong_arguments_are_one_clear_line(self) -> None:
        rng = np.random.default_rng(0)
        with pytest.raises(InputError, match="essen"):
            draw_source(rng, ("composer", "essen"))
        with pytest.raises(InputError, match="palestrina"):
            tune("palestrina", rng)
        with pytest.raises(InputError, match="600 seconds"):
            tune("ryan", rng, float("nan"))

    def test_a_missing_collection_says_how_to_get_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("toccata.corpus.tunefiles._folder", lambda: tmp_path)
        monkeypatch.setattr("toccata.corpus.tunefiles._DISTRIBUTION_FOLDER", tmp_path)
        monkeypatch.setenv("TOCCATA_TUNES", str(tmp_path))
        (tmp_path / "freedoom1.wad").write_bytes(b"another file")
        collection_file.cache_clear()
        with pytest.raises(InputError, match="apt-get download"):
            collection_file("freedoom1.wad", fetch=False)
        collection_file.cache_clear()

    def test_borrowing_leaves_composed_pieces_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def arranged(source: str, rng: np.random.Generator, seconds: float | None) -> Score:
            return arrange(rng, read_abc(JIG), seconds or 20, source)

        monkeypatch.setattr("toccata.corpus.band.tune", arranged)
        with_tunes = [sheet(1, i, 12, ("composer", "ryan")) for i in range(24)]
        borrowed = [made.score.source for made in with_tunes if made.score.source != "composed"]
        assert 1 <= len(borrowed) <= 10
        assert set(borrowed) == {"tune: A Made-Up Jig (ryan)"}
        for made, alone in zip(with_tunes, [sheet(1, i, 12) for i in range(24)], strict=True):
            if made.score.source == "composed":
                assert (made.score, made.captions, made.soundfont) == (alone.score, alone.captions, alone.soundfont)

    @pytest.mark.parametrize("source", SOURCES)
    def test_every_collection_gives_pieces(self, source: str) -> None:
        try:
            for name in FREEDOOM if source == "freedoom" else (MUSIC21,):
                collection_file(name, fetch=False)
        except InputError as error:
            pytest.skip(str(error))
        made = [tune(source, np.random.default_rng(seed), 16) for seed in range(2)]
        assert made[0] == tune(source, np.random.default_rng(0), 16)
        assert made[0].source != made[1].source or made[0].tracks != made[1].tracks
        assert all(9 < score.seconds < 24 for score in made)
