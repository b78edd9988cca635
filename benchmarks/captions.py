"""The list of held-out prompts, and what each of them asks for that a judge can hear."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.held_out import HELD_OUT
from toccata.corpus.band import sheet
from toccata.corpus.instruments import INSTRUMENTS


@dataclass(frozen=True)
class Case:
    """A caption of the held-out piece ``index``; ``asks`` maps facets (see ``facets``) to what is asked for."""

    index: int
    text: str
    asks: dict[str, Any]


def facets(named: dict[str, Any]) -> dict[str, Any]:
    """What a judge can hear of the labels that a caption names.

    ``tempo`` bpm, ``pace`` (low, high) bpm, ``key`` (tonic, mode), ``mode``, ``drums`` there or not, ``families`` a set
    without drums; each only where it is named.
    """
    families = set(named.get("families", ())) | {INSTRUMENTS[name].family for name in named.get("instruments", ())}
    found = {facet: named[facet] for facet in ("tempo", "key", "mode", "drums") if facet in named}
    if "tempo_range" in named and "tempo" not in named:
        found["pace"] = named["tempo_range"]
    if "key" in found:
        found.pop("mode", None)
    if families - {"drums"}:
        found["families"] = families - {"drums"}
    return found


def cases(count: int) -> list[Case]:
    """The first ``count`` held-out pieces with a caption that can be judged.

    Of each piece's captions the one is taken that names most of what has been asked for least so far; drums that are
    to be there and drums that are not count as two.
    """
    chosen: list[Case] = []
    asked: Counter[str] = Counter()
    index = 0
    while len(chosen) < count:
        found = [(caption.text, facets(caption.named)) for caption in sheet(HELD_OUT, index).captions]
        text, asks = max(found, key=lambda pair: sum(1 / (1 + asked[name]) for name in _names(pair[1])))
        if asks:
            chosen.append(Case(index, text, asks))
            asked.update(_names(asks))
        index += 1
    return chosen


def _names(asks: dict[str, Any]) -> list[str]:
    return [f"drums {value}" if facet == "drums" else facet for facet, value in asks.items()]
