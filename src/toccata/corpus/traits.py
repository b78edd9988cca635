"""What is true of a score beyond its labels: who plays, how the rhythm goes, how the form unfolds."""

from dataclasses import dataclass
from itertools import pairwise

from toccata.corpus.instruments import INSTRUMENTS
from toccata.corpus.score import Score, Section, Track

_ROLE_ORDER = ("melody", "counter", "chords", "arpeggio", "pad", "bass", "drums")
_ENSEMBLES = {2: "duo", 3: "trio", 4: "quartet"}
_TWO_HANDED = {"piano", "mallets", "organ", "accordion", "guitar", "harp", "world", "drums"}
_KITS = {8: "room kit", 16: "power kit", 24: "electronic kit", 25: "808", 32: "jazz kit", 40: "brushes"}
_MACHINES = {24, 25}
_GROUPS = {
    "string ensemble", "slow strings", "tremolo strings", "pizzicato strings", "choir", "voice oohs", "brass section",
}  # fmt: skip
_VOICES = {"choir", "voice oohs", "choir pad"}


@dataclass(frozen=True)
class Player:
    """One instrument with every role it plays, the most prominent role first."""

    instrument: str
    family: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Traits:
    """``players`` leaves out the drums; ``holds`` is every statement, by name, that is true of the score.

    ``form`` names the sections but for the closing bar; ``peak`` is the fullest one after the first, or empty.
    """

    score: Score
    players: tuple[Player, ...]
    holds: frozenset[str]
    form: tuple[str, ...]
    peak: str


def traits_of(score: Score) -> Traits:
    """Read off a score what captions may say of it."""
    players = _players(score)
    drums = [track for track in score.tracks if track.is_drums]
    holds = {player.instrument for player in players} | {player.family for player in players}
    holds |= {score.genre, score.mode, *score.moods, "drums" if drums else "no drums"}
    holds |= {_KITS[track.kit] for track in drums if track.kit in _KITS}
    holds |= _ensemble(score, players) | _absences(holds) | _rhythm(score)
    sections = [section for section in score.sections if section.name != "ending"]
    energies = [_energy(score, section) for section in sections]
    peak = _peak(sections, energies)
    holds |= _form(sections, energies, peak)
    return Traits(score, players, frozenset(holds), tuple(section.name for section in sections), peak)


def _players(score: Score) -> tuple[Player, ...]:
    roles: dict[str, set[str]] = {}
    for track in score.tracks:
        if not track.is_drums:
            roles.setdefault(track.instrument, set()).add(track.role)
    cast = [
        Player(name, INSTRUMENTS[name].family, tuple(sorted(played, key=_ROLE_ORDER.index)))
        for name, played in roles.items()
    ]
    return tuple(sorted(cast, key=lambda player: _ROLE_ORDER.index(player.roles[0])))


def _ensemble(score: Score, players: tuple[Player, ...]) -> set[str]:
    """How many play. One violin in two tracks is two violins; one piano in two tracks is two hands."""
    drums = [track for track in score.tracks if track.is_drums]
    if any(player.instrument in _GROUPS for player in players):
        return set()
    total = sum(1 if p.family in _TWO_HANDED else _tracks(score, p.instrument) for p in players) + len(drums)
    if total == 1:
        return {"solo"}
    if any(p.family == "synth" for p in players) or any(track.kit in _MACHINES for track in drums):
        return set()
    named = {_ENSEMBLES[total]} if total in _ENSEMBLES else set()
    return named | ({"band"} if drums and total >= 4 else set())


def _tracks(score: Score, instrument: str) -> int:
    return sum(track.instrument == instrument for track in score.tracks)


def _absences(holds: set[str]) -> set[str]:
    absent = set()
    if not holds & _VOICES:
        absent.add("no voices")
    if not holds & {"drums", "mallets", "steel drums"}:
        absent.add("no percussion")
    return absent


def _rhythm(score: Score) -> set[str]:
    found = {"swing"} if score.swing > 0.56 else set()
    for track in score.tracks:
        if track.role == "bass" and score.meter == (4, 4) and _share_of_quarters(track) > 0.7:
            found.add("walking bass")
        if track.is_drums:
            found |= _drum_sounds(track)
            if score.meter == (4, 4) and _kicks_every_beat(track):
                found.add("four on the floor")
    return found


def _drum_sounds(track: Track) -> set[str]:
    """Whether a drum track is a kit (kick and snare) or hand drums (General MIDI bongos and congas)."""
    keys = [note.pitch for note in track.notes]
    found = {"kit"} if {35, 36} & set(keys) and {38, 40} & set(keys) else set()
    if sum(60 <= key <= 66 for key in keys) > 0.4 * len(keys):
        found.add("hand drums")
    if {60, 61} & set(keys) and {62, 63, 64} & set(keys):
        found.add("congas")
    return found


def _share_of_quarters(track: Track) -> float:
    """The share of the steps from note to note that are one beat long and move to another pitch."""
    notes = sorted(track.notes, key=lambda note: note.start)
    steps = [abs(b.start - a.start - 1) < 0.15 and a.pitch != b.pitch for a, b in pairwise(notes)]
    return sum(steps) / len(steps) if len(steps) >= 8 else 0.0


def _kicks_every_beat(track: Track) -> bool:
    kicks = {round(note.start) for note in track.notes if note.pitch in (35, 36) and abs(note.start % 1 - 0.5) > 0.4}
    return len(kicks) >= 8 and len(kicks) > 0.8 * (max(kicks) - min(kicks) + 1)


def _energy(score: Score, section: Section) -> float:
    """Loudness times busyness: the velocities that start in a section, for each beat."""
    end = section.start + section.beats
    heard = (note.velocity for track in score.tracks for note in track.notes if section.start <= note.start < end)
    return sum(heard) / max(section.beats, 1e-6)


def _form(sections: list[Section], energies: list[float], peak: str) -> set[str]:
    if len(sections) < 2:
        return set()
    names = [section.name for section in sections]
    found = {f"has {name}" for name in names[1:-1]} | {f"opens with {names[0]}", f"ends with {names[-1]}", "form"}
    if names[0] not in ("intro", peak):
        found.add("plain start")
    if energies[0] < 0.7 * max(energies):
        found |= {"quiet start", "builds"}
    if energies[-1] < 0.7 * max(energies):
        found.add("winds down")
    elif names[-1] in names[:-1] and names[-1] != peak:
        found.add("returns")
    return found


def _peak(sections: list[Section], energies: list[float]) -> str:
    later = [(energy, section.name) for energy, section in zip(energies, sections, strict=True)][1:]
    return max((pair for pair in later if pair[1] != "outro"), default=(0.0, ""))[1]
