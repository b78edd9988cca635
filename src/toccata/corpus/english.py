"""Grammar that every caption needs: articles, agreement, lists, capitals and the odd slip of a finger."""

import re
from collections.abc import Sequence
from random import Random

_VOWEL_SOUND = re.compile(r"[aeiouAEIOUé]|8|1[18]\b|F[b#]?m?\b|FM\b")
_CONSONANT_SOUND = re.compile(r"uni|use|eu|one\b|uk", re.IGNORECASE)
_MASS_NOUNS = ("music", "brass", "percussion", "guitar work", "jazz", "banjo-pickin'")
_SMALL_WORDS = {"a", "an", "and", "at", "by", "for", "in", "of", "on", "over", "the", "to", "with", "bpm"}
_KEY_TOKEN = re.compile(r"[A-G][b#]?m?")


def is_plural(noun: str) -> bool:
    """Whether a noun phrase takes a plural verb: ``strings``, but not ``brass`` or ``bass``."""
    return noun.endswith("s") and not noun.endswith("ss")


def takes_article(noun: str) -> bool:
    """Whether ``a`` or ``an`` may stand before the noun phrase."""
    return not is_plural(noun) and not noun.endswith(_MASS_NOUNS)


def with_article(noun: str) -> str:
    """The noun phrase after the mark ``@``, which ``polish`` turns into ``a`` or ``an`` where one belongs."""
    return f"@ {noun}" if takes_article(noun) else noun


def conjugate(clause: str, many: bool) -> str:
    """Choose the verb from each ``<plays/play>``: the first for one, the second for many (or after ``should``)."""
    return re.sub(r"<([^/<>]*)/([^<>]*)>", r"\2" if many else r"\1", clause)


def agree(clause: str, noun: str) -> str:
    """Fill ``{x}`` with the noun phrase, which the verb follows."""
    return conjugate(clause, is_plural(noun)).replace("{x}", noun)


def listing(items: Sequence[str], last: str = " and ") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return last.join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def polish(text: str) -> str:
    """Choose between a and an, and tidy spaces and commas."""
    text = re.sub(r" +", " ", text).strip(" ,")
    text = re.sub(r"@ (?=(\S+))", lambda found: _article(found[1]) + " ", text)
    return re.sub(r"(?: ?,)+", ",", text).replace(" .", ".")


def _article(word: str) -> str:
    vowel = _VOWEL_SOUND.match(word) and not _CONSONANT_SOUND.match(word)
    return "an" if vowel else "a"


def sentence(text: str) -> str:
    """A capital first and a full stop last."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + "."


def title(text: str) -> str:
    """Every word but the small ones with a capital."""
    words = text.split(" ")
    return " ".join(w if i and w in _SMALL_WORDS else w[:1].upper() + w[1:] for i, w in enumerate(words))


def lower(text: str) -> str:
    """Small letters throughout, but for the names of keys, so that ``A minor`` doesn't become ``a minor``."""
    return re.sub(r"[\w#]+", lambda found: found[0] if _KEY_TOKEN.fullmatch(found[0]) else found[0].lower(), text)


def mistype(text: str, dice: Random) -> str:
    """One light slip in one long word: two letters swapped, one dropped or one doubled.

    "Without" is spared, for the sense hangs on it.
    """
    words = [found for found in re.finditer(r"\b[a-z]{6,}\b", text) if found[0] != "without"]
    if not words:
        return text
    found = dice.choice(words)
    at = found.start() + dice.randrange(1, len(found[0]) - 2)
    slips = (text[at + 1] + text[at], text[at + 1], text[at] + text[at] + text[at + 1])
    return text[:at] + dice.choice(slips) + text[at + 2 :]
