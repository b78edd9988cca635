"""The building blocks of captions: noun phrases, scenes of who plays what, remarks on how it goes, lists of tags."""

from collections.abc import Set

from toccata.corpus import wording
from toccata.corpus.draft import DRUMS, SETTINGS, Draft
from toccata.corpus.english import agree, conjugate, is_plural, listing, takes_article, with_article
from toccata.corpus.players import ADJECTIVAL_INSTRUMENTS
from toccata.corpus.traits import Player


def noun_phrase(draft: Draft, facts: Set[str], article: str = "", some: str = "") -> str:
    """``slow sad piano in A minor``: all of the ``facts`` that are still to be said, around one noun.

    ``article`` (the mark ``@``) stands before what one can count, ``some`` before what one can't.
    """
    before = _adjectives(draft, facts & draft.todo)
    noun, countable = _head(draft, facts & draft.todo)
    after = _remarks(draft, facts & draft.todo, reads_on=not countable and not noun.endswith("music"))
    adjectives = (", " if draft.flip(0.25) else " ").join(before)
    first = article if countable and takes_article(noun) else some
    return " ".join(filter(None, (first, adjectives, noun, after)))


def _adjectives(draft: Draft, facts: Set[str]) -> list[str]:
    found = []
    if "pace" in facts and draft.flip(0.75):
        found.append(draft.pace())
    if "mood" in facts and draft.flip(0.8):
        found.append(draft.mood())
        if draft.more_moods() and draft.flip(0.1 if draft.few else 0.35):
            found.append(draft.mood())
    if "swing" in facts and draft.flip(0.5):
        draft.done("swing")
        found.append(draft.pick(wording.SWING_ADJECTIVES))
    if "drums" in facts and draft.holds("no drums") and draft.flip(0.3):
        found.append(draft.no_drums(wording.NO_DRUMS_ADJECTIVES))
    if "mode" in facts and draft.flip(0.5):
        found.append(draft.mode(wording.MODE_ADJECTIVES))
    draft.dice.shuffle(found)
    return [word for word in found if word]


def _head(draft: Draft, facts: Set[str]) -> tuple[str, bool]:
    """The noun and whether one can count it."""
    leads = "instruments" in facts and bool(draft.cast)
    if "genre" in facts:
        return _genre_head(draft, draft.style() if leads and draft.flip(0.25) else "", alone="ensemble" in facts)
    if leads and (draft.few or draft.flip(0.5)):
        return _instrument_head(draft, alone="ensemble" in facts)
    noun = draft.pick(wording.GENERIC_NOUNS)
    return noun, not noun.endswith("music")


def _genre_head(draft: Draft, style: str, alone: bool) -> tuple[str, bool]:
    """``waltz``, ``jazz``, ``lo-fi beat``, or, with a ``style`` chosen and a player left to name, ``jazz piano``."""
    if style and draft.cast:
        noun, countable = _instrument_head(draft, alone)
        return f"{style.removesuffix(' music')} {noun}", countable
    if not style and draft.flip(0.35) and (head := draft.genre_head()):
        return head, True
    if not style and draft.flip(0.15):
        return draft.style(), False
    style = style or (draft.genre_adjective() if draft.flip(0.25) else draft.style())
    if style.endswith("music"):
        return style, False
    noun = draft.pick(draft.genre.nouns)
    return f"{style} {noun}", noun != "music"


def _instrument_head(draft: Draft, alone: bool) -> tuple[str, bool]:
    """``solo cello melody``, and whether one can count it: bare instruments stand without an article."""
    player = draft.cast[0] if draft.flip(0.85) else draft.dice.choice(draft.cast)
    if draft.flip(0.6):
        draft.todo.discard("instruments")
    word = draft.player(player)
    used = ADJECTIVAL_INSTRUMENTS.get(word, word)
    before = draft.ensemble({"solo": wording.SOLO_ADJECTIVES}) + " " if alone and draft.holds("solo") else ""
    options = wording.LEADING_NOUNS[player.roles[0]]
    if is_plural(used) or ("{w}" in options and draft.flip(0.35)):
        return before + word, False
    noun = draft.pick(option for option in options if option != "{w}").replace("{w}", used)
    return before + noun, not noun.endswith("music")


def _remarks(draft: Draft, facts: Set[str], reads_on: bool) -> str:
    """What follows the noun: the cast first, as a rule, and the use last.

    ``reads_on``: the noun is bare, so that "and drums" may follow it.
    """
    cast = [_cast(draft, facts, reads_on)]
    rest = [
        draft.settings(wording.SETTINGS, facts),
        draft.no_drums(wording.NO_DRUMS) if "drums" in facts & draft.todo and draft.holds("no drums") else "",
        draft.say(wording.MOOD_REMARKS) if "mood" in facts & draft.todo else "",
        draft.pace_remark() if "pace" in facts & draft.todo else "",
        draft.mode(wording.MODE_REMARKS) if "mode" in facts & draft.todo else "",
        draft.ensemble(wording.ENSEMBLE_REMARKS) if "ensemble" in facts & draft.todo else "",
        draft.say(wording.GENRE_REMARKS) if "genre" in facts & draft.todo else "",
        _plain_remark(draft, "swing", wording.SWING_REMARKS, facts),
        _plain_remark(draft, "voices", wording.NO_VOICES, facts),
    ]
    draft.dice.shuffle(rest)
    pieces = cast + rest if cast[0].startswith("and ") or draft.flip(0.75) else rest + cast
    pieces.append(draft.use() if "use" in facts & draft.todo else "")
    return _chain(draft, [piece for piece in pieces if piece])


def _plain_remark(draft: Draft, fact: str, options: tuple[str, ...], facts: Set[str]) -> str:
    if fact not in facts & draft.todo:
        return ""
    draft.done(fact)
    return draft.pick(options)


def _chain(draft: Draft, pieces: list[str]) -> str:
    """Remarks in a row: a comma follows a list or what reads on badly, and otherwise comes by chance."""
    text = ""
    for piece in pieces:
        comma = piece[0] not in ",(" and (" and " in text or ", " in text or draft.flip(0.35))
        text += (", " if comma else " ") + piece if text else piece
    return text


def _cast(draft: Draft, facts: Set[str], reads_on: bool) -> str:
    """``with mellow electric piano, upright bass and drums``."""
    more = draft.names_players()
    players = draft.choose_cast() if "instruments" in facts & draft.todo else []
    here = _standing(draft, players, "drums" in facts & draft.todo)
    here |= {"reads on"} if reads_on else set()
    if "drums" in facts & draft.todo and draft.holds("drums"):
        players.append(DRUMS)
    if not players:
        return ""
    words = [_toned(draft, player) for player in players]
    words = [_articled(word) for word in words] if draft.flip(0.2) else words
    last = draft.dice.choices((" and ", " & ", ", "), (20, 1, 2))[0]
    frame = draft.pick(wording.MORE_CASTS if more else wording.CASTS, here)
    return frame.replace("{list}", listing(words, last))


def _standing(draft: Draft, players: list[Player], drums: bool) -> set[str]:
    """What holds of a list of players, with or without the drums, for the choice of its frame."""
    drums = drums and draft.holds("drums")
    if not players:
        return {"drums alone"}
    found = {"players"}
    if len(players) == 1 and not drums and "melody" in players[0].roles:
        found.add("lead alone")
    if len(players) == len(draft.traits.players) and (drums or draft.holds("no drums")):
        found.add("whole cast")
    return found


def _articled(word: str) -> str:
    return word if word.startswith("@") else with_article(word)


def _toned(draft: Draft, player: Player) -> str:
    """A player's word, sometimes with an adjective for its sound; a drum kit always comes with its article."""
    word = draft.player(player)
    tone = draft.tone() if draft.flip(0.15 if draft.few else 0.3) else ""
    toned = f"{tone} {word}" if tone and not word.startswith(tone) else word
    return with_article(toned) if player == DRUMS else toned


def scene(draft: Draft) -> str:
    """``A mellow cello carries the melody over soft piano chords``: who plays what."""
    players = draft.choose_cast() if "instruments" in draft.todo and draft.cast else []
    if "drums" in draft.todo and draft.holds("drums"):
        players.append(DRUMS)
    if not players:
        return draft.no_drums(wording.NO_DRUMS_NOTES) if "drums" in draft.todo else ""
    front, others = players[0], players[1:]
    here = {name for name, true in (
        ("lead", front.roles[0] == "melody"), ("pair", len(others) == 1), ("several", len(others) > 1),
    ) if true}  # fmt: skip
    frame = draft.pick(wording.SCENES if others else wording.SCENES_OF_ONE, here)
    first = _clause(draft, front) if "{c}" in frame else _noun(draft, front)
    text = conjugate(frame, is_plural(first)).replace("{c}", first).replace("{m}", first)
    if "{d}" in text:
        return text.replace("{d}", listing([_clause(draft, player) for player in others]))
    return text.replace("{n}", listing([_noun(draft, player) for player in others])) if others else text


def _clause(draft: Draft, player: Player) -> str:
    word = _toned(draft, player)
    noun = _articled(word) if draft.flip(0.5) else f"the {word.removeprefix('@ ')}" if draft.flip(0.3) else word
    return agree(draft.pick(wording.ROLE_CLAUSES[player.roles[0]]), noun)


def _noun(draft: Draft, player: Player) -> str:
    word = draft.player(player)
    used = ADJECTIVAL_INSTRUMENTS.get(word, word)
    options = wording.ROLE_NOUNS[player.roles[0]]
    if is_plural(used) or any(role in word for role in ("pad", "lead")):
        options = tuple(option for option in options if "{w}" not in option)
    frame = draft.pick(options)
    tone = draft.tone() if frame.startswith("{") and draft.flip(0.35) else ""
    noun = frame.replace("{x}", word).replace("{w}", used)
    noun = f"{tone} {noun}" if tone and not noun.startswith(tone) else noun
    countable = takes_article(noun) and ("{w}" in frame or takes_article(word)) and not noun.startswith("a ")
    return f"@ {noun}" if countable and ("{w}" in frame or player == DRUMS or draft.flip(0.45)) else noun


def remarks_on_it(draft: Draft, facts: Set[str], room: int, should: bool = False) -> list[str]:
    """At most ``room`` sentences on the ``facts`` still to be said: tempo, key, meter, mood, no drums, form.

    ``should`` words them as a wish.
    """
    waiting = facts & draft.todo
    waiting -= {"drums"} if draft.holds("drums") else set()
    topics = [topic for topic, covered in _TOPICS.items() if covered & waiting]
    draft.dice.shuffle(topics)
    sentences = []
    while topics and len(sentences) < room:
        draft.new_sentence()
        size = 1 if room - len(sentences) >= len(topics) else 2
        now, topics = topics[:size], topics[size:]
        note = _note(draft, now[0], waiting) if len(now) == 1 and draft.flip(0.45) else ""
        sentences.append(note or _statement(draft, now, waiting, should))
    return [text for text in sentences if text]


_TOPICS = {
    "settings": SETTINGS, "mood": frozenset({"mood"}), "pace": frozenset({"pace"}), "form": frozenset({"form"}),
    "drums": frozenset({"drums"}),
}  # fmt: skip


def _note(draft: Draft, topic: str, facts: Set[str]) -> str:
    """A remark in note form: ``Tempo 92, A minor``."""
    if topic == "settings":
        return draft.settings(wording.SETTING_NOTES, facts)
    if topic == "drums":
        return draft.no_drums(wording.NO_DRUMS_NOTES)
    return draft.say(wording.MOOD_NOTES) if topic == "mood" else ""


def _statement(draft: Draft, topics: list[str], facts: Set[str], should: bool) -> str:
    """``It is in A minor and feels nostalgic``."""
    predicates = [text for topic in topics for text in _predicates(draft, topic, facts)]
    if not predicates:
        return ""
    text = conjugate(listing(predicates), many=should)
    if should:
        return f"it should {text}"
    subject = draft.pick(wording.SUBJECTS)
    return f"it's {text[3:]}" if subject == "it" and text.startswith("is ") and draft.flip(0.4) else f"{subject} {text}"


def _predicates(draft: Draft, topic: str, facts: Set[str]) -> list[str]:
    if topic == "settings":
        return [draft.settings(wording.SETTING_PREDICATES, facts)]
    if topic == "drums":
        return [draft.no_drums(wording.NO_DRUMS_PREDICATES)]
    if topic == "form":
        draft.done("form")
        story = ((wording.OPENINGS, 0.95), (wording.MIDDLES, 0.65), (wording.CLOSINGS, 0.55))
        parts = [draft.say(options) for options, chance in story if draft.flip(chance)]
        return [part for part in parts if part]
    return [draft.say(wording.MOOD_PREDICATES if topic == "mood" else wording.PACE_PREDICATES)]


def tags(draft: Draft) -> list[str]:
    """Everything planned as a list of tags, the genre mostly first."""
    todo = set(draft.todo)
    first = [draft.style()] if "genre" in todo else []
    rest = [draft.settings(wording.SETTING_TAGS, {fact}) for fact in sorted(SETTINGS & todo)]
    rest += [draft.mood() for _ in range(draft.dice.choice((1, 1, 2)))] if "mood" in todo else []
    rest += [draft.player(player) for player in draft.choose_cast()] if "instruments" in todo else []
    rest += [draft.pace()] if "pace" in todo else []
    rest += [draft.mode(wording.MODE_TAGS)] if "mode" in todo else []
    rest += [draft.ensemble(wording.ENSEMBLE_TAGS)] if "ensemble" in todo else []
    if "drums" in todo:
        rest.append(draft.drums() if draft.holds("drums") else draft.no_drums(wording.NO_DRUMS_TAGS))
    rest += [draft.pick(options) for fact, options in wording.PLAIN_TAGS.items() if fact in todo]
    draft.dice.shuffle(rest)
    found = first + rest if draft.flip(0.7) else rest + first
    return list(dict.fromkeys(tag for tag in found if tag))
