"""Arranges a tune for the band: finds its key, harmonises it, and hands it to players of a genre that fits it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toccata.corpus.abcnotation import AbcTune, Strain
from toccata.corpus.composer import _LEVELS, Plan, _play_part
from toccata.corpus.form import NAMES, FormSection
from toccata.corpus.genres import GENRES, Band, Genre, Part
from toccata.corpus.harmonise import Bars, harmonise
from toccata.corpus.harmony import Harmony, Span
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.keyfinding import find_key
from toccata.corpus.moods import measure, moods_of
from toccata.corpus.patterns import RawNote
from toccata.corpus.performance import perform
from toccata.corpus.score import Score, Section, Track
from toccata.corpus.theory import nearest_pitch, pick, pick_weighted, roman_chord
from toccata.errors import InputError

# Genres that take a given tune well, with weights.
_REPERTOIRE = {
    "celtic jig": 3.0, "celtic reel": 3.0, "acoustic folk": 2.0, "bluegrass": 1.5, "country": 1.2, "march": 1.5,
    "waltz": 2.0, "hymn": 1.0, "lullaby": 1.0, "new age": 0.7, "string quartet": 1.2, "solo strings and winds": 1.5,
    "classical piano": 1.0, "romantic piano": 0.7, "film score": 0.5, "chiptune": 1.0, "ragtime": 0.8, "calypso": 0.7,
    "world music": 0.7, "rock": 0.4,
}  # fmt: skip
_FOLK_MODES = ("major", "minor", "dorian", "mixolydian")
_DENSE = 5.5  # onsets a bar from which a tune in 4/4 is counted in half notes, as reels are
_COMPOUND = 0.72
_SECOND_LEAD = 0.4
_WIDEST = 26


@dataclass(frozen=True)
class Melody:
    """A tune as the band counts it: strains of whole phrases, in a meter for which the band has patterns."""

    title: str
    meter: tuple[int, int]
    key: tuple[int, str]
    strains: tuple[Strain, ...]
    unit: int

    @property
    def bar_beats(self) -> float:
        return self.meter[0] * 4 / self.meter[1]

    @property
    def notes(self) -> tuple[RawNote, ...]:
        return tuple(note for strain in self.strains for note in strain.notes)

    @property
    def onsets_a_tap(self) -> float:
        beats = sum(strain.bars for strain in self.strains) * self.bar_beats
        return len(self.notes) / beats * (1.5 if self.meter[1] == 8 else 1.0)


class _Lead(NamedTuple):
    """Who plays the tune, and the semitones by which it is moved."""

    instrument: str
    shift: int


def count_in(tune: AbcTune) -> Melody:
    """Count a tune in 4/4, 3/4, 6/8 or 12/8: two bars of 2/4 or, at half the values, of a quick 4/4 make one.

    Raises InputError for other meters, for strains that are no whole phrases, and for too wide a range.
    """
    per_bar = sum(len(s.notes) for s in tune.strains) / sum(s.bars for s in tune.strains)
    scale, paired, meter = 1.0, False, tune.meter
    if tune.cut or (meter == (4, 4) and per_bar > _DENSE):
        scale, paired, meter = 0.5, True, (4, 4)
    elif meter == (2, 4):
        paired, meter = True, (4, 4)
    if meter not in ((4, 4), (3, 4), (6, 8), (12, 8)):
        raise InputError(f"The band has no patterns for a tune in {meter[0]}/{meter[1]}.")
    bars = [strain.bars / (2 if paired else 1) for strain in tune.strains]
    unit = next((unit for unit in (4, 2) if all(count % unit == 0 for count in bars)), 0)
    pitches = [note.pitch for strain in tune.strains for note in strain.notes]
    if not unit or max(pitches) - min(pitches) > _WIDEST or not all(strain.notes for strain in tune.strains):
        raise InputError(f"'{tune.title}' does not fall into phrases that a band can play.")
    strains = tuple(
        Strain(tuple(RawNote(n.start * scale, n.beats * scale, n.pitch, 1.0) for n in strain.notes), int(count))
        for strain, count in zip(tune.strains, bars, strict=True)
    )
    return Melody(tune.title, meter, key_of(tune), strains, unit)


def key_of(tune: AbcTune) -> tuple[int, str]:
    """Tonic (0-11) and mode: a mode that its key line names, else what its notes say.

    Many a transcriber wrote the signature of a major key under a modal tune; how long each note sounds, more so on the
    bar, and where the last strain closes tell them apart.
    """
    if tune.mode != "major":
        return tune.tonic, tune.mode
    bar_beats = tune.meter[0] * 4 / tune.meter[1]
    weights = [0.0] * 12
    for strain in tune.strains:
        for note in strain.notes:
            weights[note.pitch % 12] += note.beats * (1.5 if note.start % bar_beats < 1e-6 else 1.0)
    return find_key(weights, tune.strains[-1].notes[-1].pitch % 12, _FOLK_MODES, (tune.tonic, tune.mode))


def arrange(rng: np.random.Generator, tune: AbcTune, seconds: float, book: str) -> Score:
    """Arrange a tune, in a random key, to about ``seconds`` (to the nearest bar; at least one phrase and an ending).

    ``book`` is named in the score's ``source``. Raises InputError for a tune that no genre of the band suits.
    """
    melody = count_in(tune)
    written, mode = melody.key
    genre, tempo = _choose_genre(rng, melody, mode)
    band = _choose_band(rng, melody, genre)
    leads = _choose_leads(rng, melody, band)
    shift = leads[0].shift
    tonic = (written + shift) % 12
    pulse = 1.5 if melody.meter[1] == 8 else 1.0
    bars = max(melody.unit + 1, round(seconds / (melody.bar_beats * 60 / tempo / pulse)))
    passes, intro = _lay_out(melody, bars)
    form = _form(melody, passes, intro, genre)
    chords = [_harmonise(rng, melody, strain, (tonic, mode), shift) for strain in melody.strains]
    harmony = _timeline(melody, passes, intro, chords, (tonic, mode))
    slow, fast = genre.tempo
    energy = min(1.0, max(0.0, (tempo - slow) / (fast - slow)))
    swing = round(float(rng.uniform(*genre.swing)), 3) if melody.meter[1] == 4 else 0.5
    plan = Plan(genre, energy, tempo, melody.meter, tonic, mode, swing, form, harmony)
    tracks = _play(rng, plan, band, leads, _sing(melody, passes, intro, plan))
    return Score(
        tempo=plan.tempo, meter=plan.meter, tonic=tonic, mode=mode, genre=genre.name,
        moods=moods_of(measure(tracks, tempo, mode, plan.beats * plan.seconds_per_beat, swing)), tracks=tracks,
        sections=tuple(Section(s.name, s.bar * plan.bar_beats, s.bars * plan.bar_beats) for s in form),
        chords=tuple((span.start, span.chord.name) for span in harmony.spans), beats=plan.beats, swing=swing,
        source=f"tune: {melody.title} ({book})",
    )  # fmt: skip


def _choose_genre(rng: np.random.Generator, melody: Melody, mode: str) -> tuple[Genre, float]:
    """A genre that knows the meter and mode, and a tempo at which the tune is as busy as its melodies are."""
    fits: list[tuple[tuple[Genre, float, float], float]] = []
    for name, weight in _REPERTOIRE.items():
        genre = GENRES[name]
        if melody.meter not in dict(genre.meters) or mode not in dict(genre.modes) or not _bands(melody, genre):
            continue
        lag = _COMPOUND if melody.meter[1] == 8 and len(genre.meters) > 1 else 1.0
        low, high = genre.melody.rate
        slow = max(genre.tempo[0] * lag, 50.0, 60 * 0.75 * low / melody.onsets_a_tap)
        fast = min(genre.tempo[1] * lag, 60 * 1.3 * high / melody.onsets_a_tap)
        if slow <= fast:
            fits.append(((genre, slow, fast), weight))
    if not fits:
        raise InputError(f"No genre of the band suits '{melody.title}'.")
    genre, slow, fast = pick_weighted(rng, fits)
    return genre, float(round(rng.uniform(slow, fast)))


def _span(melody: Melody) -> tuple[int, int]:
    pitches = [note.pitch for note in melody.notes]
    return min(pitches), max(pitches)


def _able(melody: Melody, part: Part) -> list[str]:
    """The instruments of a part whose range holds the tune."""
    low, high = _span(melody)
    return [name for name in part.instruments if INSTRUMENTS[name].high - INSTRUMENTS[name].low >= high - low]


def _bands(melody: Melody, genre: Genre) -> list[Band]:
    return [band for band in genre.bands if any(p.role == "melody" and _able(melody, p) for p in band)]


def _choose_band(rng: np.random.Generator, melody: Melody, genre: Genre) -> list[Part]:
    band = pick(rng, _bands(melody, genre))
    return [part for part in band if part.chance >= 1 or part.role == "melody" or rng.random() < part.chance]


def _choose_leads(rng: np.random.Generator, melody: Melody, band: list[Part]) -> list[_Lead]:
    """One or two instruments that take turns with the tune, in one random key that they can play."""
    part = next(part for part in band if part.role == "melody")
    able = _able(melody, part)
    first = pick(rng, able)
    lead = _Lead(first, pick(rng, _shifts(melody, first)))
    others = [_Lead(name, moves[0]) for name in able if name != first and (moves := _octaves(melody, name, lead.shift))]
    if others and len(band) > 1 and rng.random() < _SECOND_LEAD:
        return [lead, pick(rng, others)]
    return [lead]


def _shifts(melody: Melody, instrument: str) -> list[int]:
    """One move for each key in which the instrument can play the tune: the one nearest to its middle."""
    return [octaves[0] for pitch_class in range(12) if (octaves := _octaves(melody, instrument, pitch_class))]


def _octaves(melody: Melody, instrument: str, shift: int) -> list[int]:
    """Moves by ``shift`` and any octaves that keep the tune within the instrument's range, the likeliest first."""
    (low, high), sound = _span(melody), INSTRUMENTS[instrument]
    middle = 0.5 * (sound.low + sound.high) * 0.5 + 0.5 * 69
    moves = [shift % 12 + octave for octave in range(-48, 49, 12)]
    kept = [move for move in moves if sound.low <= low + move and high + move <= sound.high]
    return sorted(kept, key=lambda move: abs((low + high) / 2 + move - middle))


def _lay_out(melody: Melody, bars: int) -> tuple[list[tuple[int, int]], int]:
    """The phrases to play, as (strain, first bar), and the bars of intro that are left over.

    Strains come in order, each twice, again and again; the last phrase is always one that closes a strain.
    """
    order = [
        (i, bar)
        for i, strain in enumerate(melody.strains)
        for _ in range(2 if strain.bars * melody.bar_beats <= 32 else 1)
        for bar in range(0, strain.bars, melody.unit)
    ]
    count, intro = divmod(bars - 1, melody.unit)
    passes = [order[i % len(order)] for i in range(count)]
    last = passes[-1][0]
    passes[-1] = (last, melody.strains[last].bars - melody.unit)
    return passes, intro


def _form(melody: Melody, passes: list[tuple[int, int]], intro: int, genre: Genre) -> tuple[FormSection, ...]:
    names = NAMES[genre.form]
    pieces: list[tuple[str, str, int]] = [("intro", "A", intro)] if intro else []
    for strain, _ in passes:
        letter = "ABC"[min(strain, 2)]
        if pieces and pieces[-1][:2] == (names[letter], letter):
            pieces[-1] = (names[letter], letter, pieces[-1][2] + melody.unit)
        else:
            pieces.append((names[letter], letter, melody.unit))
    pieces.append(("ending", "A", 1))
    sections, bar = [], 0
    for name, letter, bars in pieces:
        energy = {"intro": 0.86, "ending": 1.0}.get(name, {"A": 0.96, "B": 1.05, "C": 1.0}[letter])
        sections.append(FormSection(name, letter, bar, bars, energy))
        bar += bars
    return tuple(sections)


def _harmonise(rng: np.random.Generator, melody: Melody, strain: Strain, key: tuple[int, str], shift: int) -> Bars:
    notes = [note._replace(pitch=note.pitch + shift) for note in strain.notes]
    return harmonise(rng, notes, strain.bars, melody.bar_beats, 1 if melody.meter[0] == 3 else 2, key)


def _timeline(
    melody: Melody, passes: list[tuple[int, int]], intro: int, chords: list[Bars], key: tuple[int, str]
) -> Harmony:
    """The chords of intro (the tune's last bars), phrases and ending, one span for as long as a chord stays."""
    close = chords[passes[-1][0]]
    bars = [*(close[len(close) - intro :] if intro else []), *_phrases(melody, passes, chords)]
    bars.append(["i" if "i" in close[-1] else "I"])
    spans: list[Span] = []
    for i, bar in enumerate(bars):
        part = melody.bar_beats / len(bar)
        for k, symbol in enumerate(bar):
            chord = roman_chord(symbol, *key)
            if spans and spans[-1].chord == chord and i < len(bars) - 1:
                spans[-1] = Span(spans[-1].start, spans[-1].beats + part, chord)
            else:
                spans.append(Span(i * melody.bar_beats + k * part, part, chord))
    return Harmony(tuple(spans), tuple(span.start for span in spans))


def _phrases(melody: Melody, passes: list[tuple[int, int]], chords: list[Bars]) -> Bars:
    return [bar for strain, first in passes for bar in chords[strain][first : first + melody.unit]]


def _sing(melody: Melody, passes: list[tuple[int, int]], intro: int, plan: Plan) -> list[tuple[int, RawNote]]:
    """The tune over the whole form as (turn, note), at its written pitch; a turn is one time through a strain.

    An upbeat cuts off what would still sound before it.
    """
    sung: list[tuple[int, RawNote]] = []
    turn, previous = -1, None
    for i, (strain, first) in enumerate(passes):
        turn += previous != (strain, first - melody.unit)
        previous = (strain, first)
        begin = first * melody.bar_beats
        until = begin + melody.unit * melody.bar_beats
        at = (intro + i * melody.unit) * melody.bar_beats
        lead_in = begin == 0
        for note in melody.strains[strain].notes:
            start = note.start - begin + at
            if (begin - 1e-6 <= note.start or lead_in) and note.start < until - 1e-6 and start >= 0:
                level = _accent(plan, note.start) * _energy_at(plan, start)
                sung.append((turn, RawNote(start, min(note.beats, until - note.start), note.pitch, level)))
    return _without_overlaps(sung)


def _accent(plan: Plan, beat: float) -> float:
    if beat % plan.bar_beats < 1e-6:
        return 1.06
    return 1.0 if beat % plan.pulse < 1e-6 else 0.94


def _energy_at(plan: Plan, beat: float) -> float:
    return next(s.energy for s in reversed(plan.form) if beat >= s.bar * plan.bar_beats - 1e-6)


def _without_overlaps(sung: list[tuple[int, RawNote]]) -> list[tuple[int, RawNote]]:
    """One note at a time: a later phrase's upbeat takes the place of what it meets."""
    kept: list[tuple[int, RawNote]] = []
    for turn, note in sung:
        while kept and kept[-1][1].start >= note.start - 1e-6:
            kept.pop()
        if kept and kept[-1][1].start + kept[-1][1].beats > note.start:
            last = kept[-1][1]
            kept[-1] = (kept[-1][0], last._replace(beats=note.start - last.start))
        kept.append((turn, note))
    return kept


def _play(
    rng: np.random.Generator, plan: Plan, band: list[Part], leads: list[_Lead], sung: list[tuple[int, RawNote]]
) -> tuple[Track, ...]:
    """The leads in turn, then everyone else as the composer has them play."""
    tracks = []
    for i, lead in enumerate(leads):
        own = [note._replace(pitch=note.pitch + lead.shift) for turn, note in sung if turn % len(leads) == i]
        if sung[-1][0] % len(leads) == i:
            own.append(_close(plan, lead.instrument, own[-1].pitch))
        tracks.append(_perform(rng, plan, lead.instrument, "melody", _breathe(own, plan.genre.melody.legato), 0))
    line = [note._replace(pitch=note.pitch + leads[0].shift) for _, note in sung]
    for part in band:
        if part.role != "melody":
            instrument = pick(rng, part.instruments)
            raw = _play_part(rng, plan, part, instrument, line, len(band) == 1)
            kit = pick(rng, part.kits) if part.role == "drums" else 0
            tracks.append(_perform(rng, plan, instrument, part.role, raw, kit))
    return tuple(track for track in tracks if track.notes)


def _close(plan: Plan, instrument: str, last: int) -> RawNote:
    """The tonic, held through the ending."""
    sound = INSTRUMENTS[instrument]
    home = nearest_pitch(plan.tonic, last, sound.low, sound.high)
    return RawNote(plan.form[-1].bar * plan.bar_beats, plan.bar_beats * 0.98, home, 1.0)


def _breathe(notes: list[RawNote], legato: float) -> list[RawNote]:
    return [note._replace(beats=note.beats * min(legato, 0.98)) for note in notes]


def _perform(rng: np.random.Generator, plan: Plan, instrument: str, role: str, raw: list[RawNote], kit: int) -> Track:
    loudness = plan.genre.loudness * _LEVELS[role] * (0.88 + 0.2 * plan.energy)
    looseness = plan.genre.looseness * (0.5 if role == "drums" else 1.0)
    swing = (plan.swing, plan.genre.swing_cell)
    notes = perform(rng, raw, loudness, looseness, plan.seconds_per_beat, plan.beats, swing)
    return Track(instrument, role, notes, kit)
