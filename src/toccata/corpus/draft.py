"""One caption while it is being written: what it may still say, what it has said, and the words it has used."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from random import Random

from toccata.corpus import wording
from toccata.corpus.instruments import FAMILIES
from toccata.corpus.phrases import GENRES, MOODS, GenreWords, MoodWords
from toccata.corpus.players import DRUM_WORDS, INSTRUMENT_WORDS
from toccata.corpus.traits import Player, Traits

ENSEMBLES = ("solo", "band", "duo", "trio", "quartet")
SETTINGS = frozenset({"bpm", "key", "meter"})
DRUMS = Player("drums", "drums", ("drums",))

_MARK = re.compile(r"([|?])(?=\w)([^|?]+)")
_SLOT = re.compile(r"\{(\w+)\}")
_SLOT_FACTS = {"bpm": "bpm", "t": "bpm", "key": "key", "meter": "meter", "n": "meter", "d": "meter"}
_PLAIN_WORDS = frozenset(
    ("a", "an", "the", "of", "in", "at", "and", "for", "on", "it", "is", "are", "to", "its", "be", "by", "i", "me",
     "you", "this", "that", "music", "time", "key", "bpm", "some", "no")
)  # fmt: skip
_PACES = {pace.name: pace for pace in wording.PACES}


@dataclass(frozen=True)
class _Phrase:
    """A phrase with its marks read: what it says and needs, its weighty words, the settings that its slots name."""

    text: str
    says: frozenset[str]
    needs: frozenset[str]
    words: frozenset[str]
    settings: frozenset[str]


@cache
def _read(marked: str) -> _Phrase:
    marks = _MARK.findall(marked)
    text = _MARK.sub("", marked)
    words = frozenset(re.findall(r"[a-z0-9'&]+", _SLOT.sub(" ", text).lower())) - _PLAIN_WORDS
    settings = frozenset(_SLOT_FACTS[slot] for slot in _SLOT.findall(text) if slot in _SLOT_FACTS)
    says = frozenset(trait for mark, trait in marks if mark == "|")
    return _Phrase(text, says, frozenset(trait for _, trait in marks), words, settings)


def _fact_of(trait: str) -> str:
    """The fact that a plan must hold before a phrase may say the trait."""
    if trait in ("drums", "no drums"):
        return "drums"
    if trait in ENSEMBLES:
        return "ensemble"
    return "pace" if trait in _PACES else "instruments"


class Draft:
    """The state of one caption.

    ``todo`` starts as the plan: the facts to name, out of genre, mood, bpm, pace, key, mode, meter, instruments, drums,
    ensemble, swing, form, voices and use. Saying one takes it out of ``todo`` and enters it in ``named``.
    """

    def __init__(self, traits: Traits, plan: Iterable[str], dice: Random) -> None:
        self.score, self.traits, self.dice = traits.score, traits, dice
        self.todo = set(plan) if traits.score.moods else set(plan) - {"mood"}
        self.named: dict[str, object] = {}
        self.few = len(self.todo) <= 3
        self.cast = list(traits.players)
        self.genre = GENRES.get(self.score.genre, GenreWords((self.score.genre,)))
        self._paces = [pace for pace in wording.PACES if pace.low <= self.score.tempo < pace.high]
        self._holds = traits.holds.union(pace.name for pace in self._paces)
        self._moods = dice.sample(self.score.moods, len(self.score.moods))
        self._words: set[str] = set()
        self._slots: dict[str, Callable[[], str]] = {
            "a": self.mood, "f": self._feeling, "g": self.style, "r": self._at_pace, "bpm": self._bpm, "t": self._tempo,
            "key": self._key, "meter": self._meter, "n": self._beats_a_bar, "d": self._beat_unit,
            "first": lambda: _section(traits.form[0]), "last": lambda: _section(traits.form[-1]),
            "peak": lambda: _section(traits.peak),
        }  # fmt: skip

    def flip(self, chance: float) -> bool:
        """True with this chance."""
        return self.dice.random() < chance

    def new_sentence(self) -> None:
        """Let a linking word come again."""
        self._words -= {"with", "from", "over", "feel", "feels", "has", "have"}

    def holds(self, trait: str) -> bool:
        return trait in self._holds

    def pick(self, options: Iterable[str], also: Iterable[str] = ()) -> str:
        """One of the options that is true and, if it can be, repeats no word: earlier ones are likelier.

        ``also`` are traits that hold at this place in the text. Where nothing fits, an empty string.
        """
        holds = self._holds.union(also) if also else self._holds
        fits = [phrase for phrase in map(_read, options) if phrase.needs <= holds and self._may_say(phrase)]
        fresh = [phrase for phrase in fits if phrase.words.isdisjoint(self._words)] or fits
        if not fresh:
            return ""
        chosen = fresh[int(len(fresh) * self.dice.random() ** 1.5)]
        for trait in sorted(chosen.says):
            self._say_trait(trait)
        self._words |= chosen.words
        return chosen.text

    def say(self, options: Iterable[str], also: Iterable[str] = ()) -> str:
        """``pick`` one and fill its slots, which says what they stand for."""
        return _SLOT.sub(lambda slot: self._slots[slot[1]](), self.pick(options, also))

    def settings(self, options: Iterable[str], facts: Iterable[str]) -> str:
        """Say all of tempo, key and meter that are in ``facts`` and still to be said, in one phrase."""
        wanted = SETTINGS & self.todo.intersection(facts)
        return self.say(option for option in options if _read(option).settings == wanted) if wanted else ""

    def done(self, fact: str, label: str = "", value: object = None) -> None:
        """Note that a fact is said, under the label that names it to a judge."""
        self.todo.discard(fact)
        if label:
            self.named[label] = value

    def mood(self) -> str:
        """An adjective for one of the score's moods, a new one as long as there is one."""
        words = self._next_mood()
        return self.pick(words.adjectives)

    def more_moods(self) -> bool:
        return bool(self._moods)

    def tone(self) -> str:
        """An adjective for a sound that suits the score's moods, or an empty string."""
        known = [MOODS[mood].tones for mood in self.score.moods if mood in MOODS]
        return self.pick(self.dice.choice(known)) if known else ""

    def style(self) -> str:
        """A name of the genre that may stand alone."""
        self.done("genre", "genre", self.score.genre)
        return self.pick(self.genre.styles) or self.score.genre

    def genre_adjective(self) -> str:
        """A word for the genre that stands before a noun."""
        self.done("genre", "genre", self.score.genre)
        return self.pick(self.genre.adjectives) or self.style()

    def genre_head(self) -> str:
        """A noun that is the genre, such as waltz, or an empty string."""
        head = self.pick(self.genre.heads)
        if head:
            self.done("genre", "genre", self.score.genre)
        return head

    def pace(self) -> str:
        """An adjective for the tempo, or an empty string where people have none."""
        found = self._choose_pace()
        return self.pick(found.adjectives) if found else ""

    def pace_remark(self) -> str:
        found = self._choose_pace()
        return self.pick(found.remarks) if found else ""

    def drums(self) -> str:
        """A word for the drums that are there."""
        self._say_trait("drums")
        return self.pick(DRUM_WORDS)

    def no_drums(self, options: Iterable[str]) -> str:
        self._say_trait("no drums")
        return self.pick(options)

    def mode(self, options: dict[str, tuple[str, ...]]) -> str:
        """Words for a major or minor key without its tonic; an empty string in the other modes."""
        if self.score.mode not in options:
            self.todo.discard("mode")
            return ""
        self.done("mode", "mode", self.score.mode)
        return self.pick(options[self.score.mode])

    def ensemble(self, options: dict[str, tuple[str, ...]]) -> str:
        """Words for how many play, where there is a name for it."""
        self.todo.discard("ensemble")
        known = [name for name in ENSEMBLES if name in options and name in self._holds]
        if not known:
            return ""
        self.named["solo"] = "solo" in known
        return self.pick(options[known[0]], {"named"} if self.names_players() else ())

    def names_players(self) -> bool:
        return bool(self.named.keys() & {"instruments", "families"})

    def use(self) -> str:
        """What the music is for, fitting one of its moods."""
        self.todo.discard("use")
        return self.pick(use for use, moods in wording.USES if moods.intersection(self.score.moods))

    def player(self, player: Player) -> str:
        """A word for a player, named as its instrument, or as its family where the word fits any of that."""
        if player == DRUMS:
            return self.drums()
        kin = sum(other.family == player.family for other in self.traits.players)
        words = INSTRUMENT_WORDS.get(player.instrument, (player.instrument,))
        words = [word for word in words if not (kin > 1 and word.startswith("~"))]
        found = self.pick([word for word in words if word.strip("~") not in self._words] or words)
        self._words.add(found.strip("~"))
        self._say_trait(player.family if found.startswith("~") else player.instrument, family=found.startswith("~"))
        return found.strip("~")

    def choose_cast(self) -> list[Player]:
        """The players to name now, in order of prominence; mostly the one in front is among them."""
        self.todo.discard("instruments")
        size = self.dice.choices((1, 2, 3, 4), (80, 20, 0, 0) if self.few else (25, 35, 28, 12))[0]
        size = min(size, len(self.cast))
        chosen = self.dice.sample(self.cast, size)
        if self.cast and self.cast[0] not in chosen and self.flip(0.6):
            chosen[0] = self.cast[0]
        chosen.sort(key=self.cast.index)
        self.cast = [player for player in self.cast if player not in chosen]
        return chosen

    def _may_say(self, phrase: _Phrase) -> bool:
        return all(_fact_of(trait) in self.todo for trait in phrase.says)

    def _say_trait(self, trait: str, family: bool = True) -> None:
        if trait in ("drums", "no drums"):
            self.done("drums", "drums", trait == "drums")
        elif trait in ENSEMBLES:
            self.done("ensemble", "solo", trait == "solo")
        elif trait in _PACES:
            pace = _PACES[trait]
            self.done("pace", "tempo_range", (pace.low, pace.high))
        else:
            label = "families" if family and trait in FAMILIES else "instruments"
            known = self.named.get(label, ())
            self.named[label] = tuple(dict.fromkeys((*known, trait))) if isinstance(known, tuple) else (trait,)
            self.cast = [player for player in self.cast if trait not in (player.instrument, player.family)]
            if not self.cast:
                self.todo.discard("instruments")

    def _choose_pace(self) -> wording.Pace | None:
        self.todo.discard("pace")
        if not self._paces:
            return None
        found = self.dice.choice(self._paces)
        self.named["tempo_range"] = (found.low, found.high)
        return found

    def _next_mood(self) -> MoodWords:
        self.todo.discard("mood")
        mood = self._moods.pop() if self._moods else self.dice.choice(self.score.moods)
        known = self.named.get("moods", ())
        self.named["moods"] = tuple(dict.fromkeys((*known, mood))) if isinstance(known, tuple) else (mood,)
        return MOODS.get(mood, MoodWords((mood,), (f"{mood} feeling",), ()))

    def _feeling(self) -> str:
        return self.pick(self._next_mood().feelings)

    def _at_pace(self) -> str:
        found = self._choose_pace()
        return self.pick(remark for remark in found.remarks if remark.startswith("at ")) if found else ""

    def _tempo(self) -> str:
        self.done("bpm", "tempo", float(round(self.score.tempo)))
        return str(round(self.score.tempo))

    def _bpm(self) -> str:
        return self.pick(wording.BPM).replace("{t}", self._tempo())

    def _key(self) -> str:
        self.done("key", "key", (self.score.tonic, self.score.mode))
        minor = self.score.mode in ("minor", "dorian", "phrygian")
        tonic = self.pick((wording.MINOR_SPELLINGS if minor else wording.MAJOR_SPELLINGS)[self.score.tonic])
        if self.score.mode == "minor" and len(tonic) < 3 and self.flip(0.15):
            return f"{tonic}m"
        return f"{tonic} {self.score.mode}"

    def _meter(self) -> str:
        self.done("meter", "meter", self.score.meter)
        return self.say(wording.METER_NAMES.get(self.score.meter, ("{n}/{d}", "{n}/{d} time")))

    def _beats_a_bar(self) -> str:
        self.done("meter", "meter", self.score.meter)
        return str(self.score.meter[0])

    def _beat_unit(self) -> str:
        return str(self.score.meter[1])


def _section(name: str) -> str:
    return wording.SECTION_NAMES.get(name, name)
