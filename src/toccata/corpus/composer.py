"""The composer: one call makes a whole piece of a genre, with labels that are true of its notes."""

from dataclasses import dataclass
from math import pi, sin

import numpy as np

from toccata.corpus.accompaniment import STYLES, play_chords
from toccata.corpus.bass import PATTERNS, play_bass
from toccata.corpus.drums import DrumStyle, play_drums
from toccata.corpus.form import FormSection, plan_form
from toccata.corpus.genres import GENRES, Genre, Part
from toccata.corpus.harmony import Harmony, choose_progressions, lay_harmony
from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.melody import Theme, compose_theme, embellish, melodic_ladder, play_counter, sing
from toccata.corpus.moods import measure, moods_of
from toccata.corpus.patterns import RawNote
from toccata.corpus.performance import perform
from toccata.corpus.progressions import CADENCES, PROGRESSIONS
from toccata.corpus.score import Score, Section, Track
from toccata.corpus.theory import MINOR_MODES, nearest_pitch, pick, pick_weighted
from toccata.errors import InputError

_LONGEST = 600.0
_COMPOUND = 0.72  # a genre that is not at home in 6/8 takes its dotted quarters slower than its quarters
_LEVELS = {"melody": 1.06, "counter": 0.9, "chords": 0.78, "arpeggio": 0.84, "pad": 0.7, "bass": 0.98, "drums": 1.0}
_HOME = {"chords": 59.0, "arpeggio": 64.0, "pad": 60.0}


@dataclass(frozen=True)
class Plan:
    """What all players of a piece share. ``energy`` (0-1) is how lively this piece is for its genre."""

    genre: Genre
    energy: float
    tempo: float
    meter: tuple[int, int]
    tonic: int
    mode: str
    swing: float
    form: tuple[FormSection, ...]
    harmony: Harmony

    @property
    def bar_beats(self) -> float:
        return self.meter[0] * 4 / self.meter[1]

    @property
    def pulse(self) -> float:
        return 1.5 if self.meter[1] == 8 else 1.0

    @property
    def seconds_per_beat(self) -> float:
        return 60 / self.tempo / self.pulse

    @property
    def beats(self) -> float:
        return (self.form[-1].bar + self.form[-1].bars) * self.bar_beats


def compose(rng: np.random.Generator, seconds: float | None = None, genre: str | None = None) -> Score:
    """Write a piece: the same generator state gives the same piece.

    ``seconds`` (above 0, at most 600) is met to the nearest whole bar; None chooses 14 to 45. ``genre`` is a key of
    ``GENRES``; None chooses one. Raises InputError for any other.
    """
    if genre is not None and genre not in GENRES:
        raise InputError(f"The genre '{genre}' is unknown; choose one of {', '.join(GENRES)}.")
    if seconds is not None and not 0 < seconds <= _LONGEST:
        raise InputError(f"A piece lasts above 0 and at most {_LONGEST:.0f} seconds, not {seconds}.")
    style = GENRES[genre] if genre else pick(rng, tuple(GENRES.values()))
    plan = _plan(rng, style, float(rng.uniform(14, 45)) if seconds is None else seconds)
    tracks = _play_band(rng, plan)
    total = plan.beats * plan.seconds_per_beat
    return Score(
        tempo=plan.tempo, meter=plan.meter, tonic=plan.tonic, mode=plan.mode, genre=style.name,
        moods=moods_of(measure(tracks, plan.tempo, plan.mode, total, plan.swing)), tracks=tracks,
        sections=tuple(Section(s.name, s.bar * plan.bar_beats, s.bars * plan.bar_beats) for s in plan.form),
        chords=tuple((span.start, span.chord.name) for span in plan.harmony.spans), beats=plan.beats,
            swing=plan.swing,
    )  # fmt: skip


def _plan(rng: np.random.Generator, genre: Genre, seconds: float) -> Plan:
    """Choose what the piece is; minor modes lean to the calmer half of a genre's tempo range."""
    mode = pick_weighted(rng, genre.modes)
    energy = float(rng.random()) * (0.85 if mode in MINOR_MODES else 1.0)
    slow, fast = genre.tempo
    meter = pick_weighted(rng, genre.meters)
    tempo = slow + (fast - slow) * min(1.0, max(0.0, energy + float(rng.normal(0, 0.12))))
    if meter[1] == 8 and len(genre.meters) > 1:
        tempo = max(48.0, tempo * _COMPOUND)
    tempo = float(round(tempo))
    swing = round(float(rng.uniform(*genre.swing)), 3) if meter[1] == 4 else 0.5
    tonic = int(rng.integers(12))
    bar_beats = meter[0] * 4 / meter[1]
    bar_seconds = bar_beats * 60 / tempo / (1.5 if meter[1] == 8 else 1.0)
    form = plan_form(rng, max(1, round(seconds / bar_seconds)), genre.form)
    progressions = choose_progressions(rng, PROGRESSIONS[genre.harmony][mode])
    cadences = CADENCES[genre.cadence]["minor" if mode in MINOR_MODES else "major"]
    harmony = lay_harmony(rng, form, progressions, cadences, (tonic, mode), bar_beats, genre.spice)
    return Plan(genre, energy, tempo, meter, tonic, mode, swing, form, harmony)


def _play_band(rng: np.random.Generator, plan: Plan) -> tuple[Track, ...]:
    band = [part for part in pick(rng, plan.genre.bands) if part.chance >= 1 or rng.random() < part.chance]
    accompanied = any(part.role in ("chords", "arpeggio", "pad") for part in band)
    lead: list[RawNote] = []
    tracks = []
    swing = (plan.swing, plan.genre.swing_cell)
    for part in sorted(band, key=lambda part: part.role != "melody"):
        instrument = pick(rng, part.instruments)
        raw = _play_part(rng, plan, part, instrument, lead, len(band) == 1, accompanied)
        if part.role == "melody":
            lead = raw
        loudness = plan.genre.loudness * _LEVELS[part.role] * (0.88 + 0.2 * plan.energy)
        looseness = plan.genre.looseness * (0.5 if part.role == "drums" else 1.0)
        notes = perform(rng, raw, loudness, looseness, plan.seconds_per_beat, plan.beats, swing)
        if notes:
            tracks.append(Track(instrument, part.role, notes, pick(rng, part.kits) if part.role == "drums" else 0))
    return tuple(tracks)


def _play_part(
    rng: np.random.Generator,
    plan: Plan,
    part: Part,
    instrument: str,
    lead: list[RawNote],
    alone: bool,
    accompanied: bool = True,
) -> list[RawNote]:
    """One player's notes over the whole form, silent where the arrangement leaves room, together in the ending."""
    playing = _arrange(rng, plan, part, alone or not accompanied)
    if part.role == "drums":
        style = DrumStyle(pick(rng, part.styles), plan.genre.fill, plan.genre.crash)
        return play_drums(rng, style, playing, plan.meter[0], plan.bar_beats)
    body = [section for section in playing if section.name != "ending"]
    if part.role == "melody":
        notes = _sing_form(rng, plan, body, instrument, alone)
    elif part.role == "counter":
        notes = _counter_form(rng, plan, pick(rng, part.styles), body, instrument, lead)
    elif part.role == "bass":
        notes = _bass_form(rng, plan, pick(rng, part.styles), body, instrument)
    else:
        notes = _chord_form(rng, plan, part, body, instrument)
    return notes + _last_chord(plan, part.role, instrument, notes, alone)


def _arrange(rng: np.random.Generator, plan: Plan, part: Part, always: bool) -> tuple[FormSection, ...]:
    """The sections in which a part plays: all of them, or fewer in intros and breakdowns."""
    rest: set[str] = set()
    if part.role in ("melody", "counter"):
        rest.add("intro")
    if part.role in ("drums", "bass") and rng.random() < 0.3:
        rest.add("intro")
    if part.role in ("drums", "counter") and rng.random() < 0.6:
        rest |= {"breakdown", "bridge", "interlude"}
    sections = tuple(s for s in plan.form if always or s.name not in rest)
    bars = sum(section.bars for section in sections)
    return sections if bars >= 0.6 * (plan.form[-1].bar + 1) else plan.form


def _range_of(instrument: str, lowest: int, highest: int) -> tuple[int, int]:
    """The instrument's range, kept between two pitches where it reaches that far."""
    sound = INSTRUMENTS[instrument]
    low, high = max(sound.low, lowest), min(sound.high, highest)
    return (low, high) if high - low >= 14 else (sound.low, sound.high)


def _ladder(rng: np.random.Generator, plan: Plan, instrument: str, width: int, centre: float) -> list[int]:
    low, high = _range_of(instrument, 48, 96)
    middle = min(max(centre + rng.normal(0, 2.5), low + width / 2), high - width / 2)
    low, high = max(low, int(middle - width / 2)), min(high, int(middle + width / 2))
    scale = plan.genre.melody.scale if plan.mode not in ("lydian", "phrygian") else "mode"
    return melodic_ladder(plan.tonic, plan.mode, scale, low, high)


def _sing_form(
    rng: np.random.Generator, plan: Plan, body: list[FormSection], instrument: str, alone: bool
) -> list[RawNote]:
    """The melody: one theme a letter, sung again whenever the letter returns."""
    style = plan.genre.melody
    slow, fast = style.rate
    rate = (slow + (fast - slow) * plan.energy) * plan.bar_beats * plan.seconds_per_beat
    low, high = _range_of(instrument, 48, 96)
    ladder = _ladder(rng, plan, instrument, 24 if alone else 19, 64 + 0.5 * ((low + high) / 2 - 64) + 6)
    themes: dict[str, Theme] = {}
    notes: list[RawNote] = []
    for section in body:
        if section.letter not in themes:
            busier = 1.3 if section.name == "solo" else 1.0
            themes[section.letter] = compose_theme(rng, style, plan.meter[0], rate * busier)
        elif rng.random() < 0.6:
            themes[section.letter] = embellish(rng, themes[section.letter])
        start = section.bar * plan.bar_beats
        sung = sing(
            themes[section.letter], plan.harmony, ladder, start, section.bars, plan.bar_beats, plan.pulse, style.legato
        )
        notes += _shape(sung, section, plan)
    return notes


def _counter_form(
    rng: np.random.Generator, plan: Plan, kind: str, body: list[FormSection], instrument: str, lead: list[RawNote]
) -> list[RawNote]:
    ladder = _ladder(rng, plan, instrument, 16, 62)
    notes: list[RawNote] = []
    for section in body:
        start, end = section.bar * plan.bar_beats, (section.bar + section.bars) * plan.bar_beats
        tune = [note for note in lead if start <= note.start < end]
        notes += _shape(
            play_counter(rng, kind, tune, plan.harmony, ladder, start, section.bars, plan.bar_beats), section, plan
        )
    return notes


def _bass_form(
    rng: np.random.Generator, plan: Plan, style: str, body: list[FormSection], instrument: str
) -> list[RawNote]:
    low, high = _range_of(instrument, 28, 55)
    options = PATTERNS[style][plan.meter[0]] if style in PATTERNS and plan.meter[0] in PATTERNS[style] else ("walking",)
    patterns = {letter: pick(rng, options) for letter in "ABC"}
    patterns["C"] = patterns["A"]
    notes: list[RawNote] = []
    for section in body:
        start = section.bar * plan.bar_beats
        line = play_bass(rng, plan.harmony, patterns[section.letter], start, section.bars, plan.bar_beats, low, high)
        notes += _shape(line, section, plan)
    return notes


def _chord_form(
    rng: np.random.Generator, plan: Plan, part: Part, body: list[FormSection], instrument: str
) -> list[RawNote]:
    style = STYLES[pick(rng, [name for name in part.styles if plan.meter[0] in STYLES[name].patterns])]
    patterns = {letter: pick(rng, style.patterns[plan.meter[0]]) for letter in "ABC"}
    sound = INSTRUMENTS[instrument]
    centre = min(max(_HOME[part.role] + rng.normal(0, 2), sound.low + 8), sound.high - 8)
    notes: list[RawNote] = []
    for section in body:
        line = play_chords(
            plan.harmony, style, patterns[section.letter], section.bar * plan.bar_beats, section.bars, plan.bar_beats,
            centre, sound.low, sound.high, plan.seconds_per_beat,
        )  # fmt: skip
        notes += _shape(line, section, plan)
    return notes


def _shape(notes: list[RawNote], section: FormSection, plan: Plan) -> list[RawNote]:
    """Loudness by section, with a slight swell over each phrase of four bars."""
    phrase = 4 * plan.bar_beats
    start, swell = section.bar * plan.bar_beats, 0.06 * section.energy
    return [
        RawNote(
            n.start, n.beats, n.pitch, n.level * (section.energy + swell * sin(pi * ((n.start - start) / phrase % 1)))
        )
        for n in notes
    ]


def _last_chord(plan: Plan, role: str, instrument: str, before: list[RawNote], alone: bool) -> list[RawNote]:
    """The ending: the tonic chord struck once and held through the last bar."""
    start = plan.form[-1].bar * plan.bar_beats
    span = plan.harmony.at(start)
    sound = INSTRUMENTS[instrument]
    last = before[-1].pitch if before else (sound.low + sound.high) // 2
    if role == "bass":
        low, high = _range_of(instrument, 28, 55)
        pitches = [nearest_pitch(span.chord.root, low + 8, low, high)]
    elif role in ("melody", "counter"):
        target = (
            plan.tonic if role == "melody" else span.chord.pitch_classes[-1 if len(span.chord.intervals) < 4 else 1]
        )
        pitches = [nearest_pitch(target, last, sound.low, sound.high)]
    else:
        chord = STYLES["pad"]
        return play_chords(
            plan.harmony, chord, "C---", start, 1, plan.bar_beats,
                min(max(_HOME[role], sound.low + 8), sound.high - 8),
            sound.low, sound.high, plan.seconds_per_beat,
        )  # fmt: skip
    return [RawNote(start, plan.bar_beats * 0.98, pitch, 1.0) for pitch in pitches]
