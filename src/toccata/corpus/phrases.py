"""The words that people use for genres and moods, the commonest first.

A phrase may end in marks: ``|trait`` says a trait (a label the caption then names), ``?trait`` only needs it to hold.
The traits are those of ``traits.Traits.holds``: ``"beat|drums"`` is for scores with drums,
and says that there are some.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class GenreWords:
    """``styles`` stand alone or before a noun, ``adjectives`` only before one, ``heads`` are things one can count."""

    styles: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ("track", "piece", "tune", "instrumental?no voices")


@dataclass(frozen=True)
class MoodWords:
    """``adjectives`` name the mood, ``feelings`` are its nouns, ``tones`` suit the sound of an instrument in it."""

    adjectives: tuple[str, ...]
    feelings: tuple[str, ...]
    tones: tuple[str, ...]


_SONG = ("song", "track", "tune", "instrumental?no voices", "number", "backing track", "ballad|slow")
_CLUB = ("track", "tune", "groove?drums", "loop", "beat|drums", "banger|fast", "instrumental?no voices")
_BEAT = ("beat|drums", "track", "instrumental?no voices", "groove?drums", "loop", "tune", "beat|drums")
_BAND = ("tune", "number", "track", "jam?band", "groove?drums", "song", "instrumental?no voices")
_SCORED = ("piece", "music", "composition", "work")
_TRAD = ("tune", "song", "melody", "piece", "instrumental?no voices")

GENRES: dict[str, GenreWords] = {
    "lo-fi hip hop": GenreWords(
        ("lo-fi", "lo-fi hip hop", "lofi", "lofi hip hop", "lo-fi hip-hop", "chillhop"), ("lo-fi style",), (), _BEAT
    ),
    "trap": GenreWords(("trap", "trap hip hop", "modern trap"), ("trap-style",), (), _BEAT),
    "jazz swing": GenreWords(
        ("jazz", "swing", "swing jazz", "jazz swing", "straight-ahead jazz", "classic jazz", "bebop-flavoured jazz"),
        ("jazzy", "jazz club", "swing-era"), ("jazz standard", "swing tune", "jazz number"), _BAND,
    ),
    "bossa nova": GenreWords(
        ("bossa nova", "bossa", "Brazilian jazz", "Brazilian bossa nova"), ("bossa-style", "Brazilian", "Rio-style"),
        ("bossa nova", "bossa"), _BAND,
    ),
    "blues": GenreWords(
        ("blues", "twelve-bar blues", "12-bar blues", "classic blues"), ("bluesy", "juke-joint", "blues club"),
        ("blues",), _BAND
    ),
    "rock": GenreWords(
        ("rock", "rock and roll", "classic rock", "rock 'n' roll", "alt rock", "indie rock"), ("rocking", "rock-style"),
        ("rock anthem|fast", "rocker"), _BAND,
    ),
    "metal": GenreWords(
        ("metal", "heavy metal", "hard rock metal"), ("headbanging", "metal-style"), (),
        ("track", "song", "riff", "instrumental?no voices")
    ),
    "pop": GenreWords(
        ("pop", "modern pop", "radio pop", "mainstream pop", "catchy pop"), ("poppy", "radio-friendly pop"),
        ("pop song", "pop tune"), _SONG
    ),
    "funk": GenreWords(
        ("funk", "70s funk", "groove funk", "old-school funk"), ("funky", "get-down"), ("funk jam?band",), _BAND
    ),
    "reggae": GenreWords(
        ("reggae", "roots reggae", "Jamaican reggae"), ("Jamaican", "island-style reggae"), ("reggae tune",), _BAND
    ),
    "house": GenreWords(
        ("house", "house music", "deep house", "club house", "dance music"), ("clubby", "dance floor", "club-ready"),
        ("house track", "club tune"), _CLUB
    ),
    "techno": GenreWords(
        ("techno", "Detroit techno", "warehouse techno", "electronic techno"), ("hypnotic techno", "rave"),
        ("techno track",), _CLUB
    ),
    "drum and bass": GenreWords(
        ("drum and bass|drums|bass", "dnb", "jungle", "liquid dnb", "d&b"), (), ("drum and bass track|drums|bass",),
        _CLUB
    ),
    "synthwave": GenreWords(
        ("synthwave", "retrowave", "80s synthwave", "outrun", "80s synth pop", "retro synthwave"),
        ("80s-style", "neon-lit", "80s retro"), ("synthwave track",),
        ("track", "tune", "instrumental?no voices", "song", "anthem", "jam?band"),
    ),
    "ambient": GenreWords(
        ("ambient", "ambient music", "drone ambient", "atmospheric ambient"),
        ("atmospheric", "soundscape-like", "ambient-style"),
        ("soundscape", "ambient soundscape"), ("piece", "track", "soundscape", "texture", "bed"),
    ),
    "classical piano": GenreWords(
        ("classical", "classical piano|piano", "classical piano music|piano"),
        ("classical", "conservatory-style", "concert-hall"),
        ("piano sonata movement|piano", "classical piano piece|piano", "étude", "prelude", "nocturne|slow"), _SCORED,
    ),
    "waltz": GenreWords(
        ("waltz", "Viennese waltz", "ballroom waltz", "waltz music"), ("waltzing", "ballroom"),
        ("waltz", "waltz", "Viennese waltz"),
        ("tune", "piece", "dance", "melody"),
    ),
    "string quartet": GenreWords(
        ("string quartet|strings", "chamber music", "classical chamber music", "quartet music?strings"),
        ("chamber", "classical chamber"), ("string quartet|strings", "string quartet piece|strings", "chamber piece"),
        _SCORED,
    ),
    "film score": GenreWords(
        ("film score", "film music", "movie music", "soundtrack music", "cinematic music"),
        ("cinematic", "soundtrack", "movie trailer", "filmic", "film-score style"),
        ("film score", "film cue", "movie theme", "score cue"),
        ("piece", "cue", "score", "theme", "underscore"),
    ),
    "country": GenreWords(
        ("country", "country music", "Nashville country", "country and western", "old-time country"),
        ("twangy country", "western", "honky-tonk"),
        ("country tune", "country song"), ("song", "tune", "number", "track", "ballad|slow"),
    ),
    "bluegrass": GenreWords(
        ("bluegrass", "Appalachian bluegrass", "bluegrass music"), ("hillbilly", "Appalachian", "back-porch"),
        ("bluegrass breakdown|fast", "hoedown|fast"),
        ("tune", "number", "jam", "picking tune"),
    ),
    "salsa": GenreWords(
        ("salsa", "Cuban salsa", "Latin dance music", "Latin music"), ("Latin", "Cuban", "Latin dance", "Afro-Cuban"),
        ("salsa tune", "salsa number"), _BAND
    ),
    "tango": GenreWords(
        ("tango", "Argentine tango", "tango music"), ("Argentine", "Buenos Aires", "tango-style"),
        ("tango", "tango", "Argentine tango"),
        ("tune", "piece", "dance", "number"),
    ),
    "march": GenreWords(
        ("march", "march music", "marching band music|brass|drums", "military march", "brass band march|brass"),
        ("marching", "military", "parade"),
        ("march", "march", "military march", "parade march"), ("tune", "piece", "number"),
    ),
    "chiptune": GenreWords(
        ("chiptune", "video game music", "8-bit chiptune", "retro game music", "chip music"),
        ("8-bit", "retro video game", "NES-style", "arcade-style"), ("chiptune",),
        ("track", "tune", "loop", "theme", "level music"),
    ),
    "hymn": GenreWords(
        ("church music", "hymn", "sacred music", "church hymn", "chorale music"),
        ("church", "sacred", "hymn-like", "devotional"),
        ("hymn", "hymn", "chorale", "church hymn"), ("tune", "piece", "melody"),
    ),
    "new age": GenreWords(
        ("new age", "new-age", "spa music", "meditation music", "healing music"), ("meditation", "spa", "yoga class"),
        (), ("piece", "track", "music")
    ),
    "ragtime": GenreWords(
        ("ragtime", "ragtime music", "stride piano ragtime|piano", "ragtime piano|piano"),
        ("old-time saloon", "silent-movie", "ragtime-style"),
        ("rag", "ragtime", "rag"), ("tune", "number", "piece"),
    ),
    "romantic piano": GenreWords(
        ("romantic classical", "romantic piano|piano", "romantic piano music|piano", "romantic-era classical",
         "salon music"),
        ("romantic-era", "Chopin-like?piano", "nineteenth-century"),
        ("nocturne|slow", "romantic piano piece|piano", "romance", "song without words"),
        _SCORED,
    ),
    "solo strings and winds": GenreWords(
        ("classical", "chamber music", "recital music", "classical solo music|solo", "unaccompanied classical|solo"),
        ("recital-style", "conservatory", "chamber"),
        ("étude", "classical duet|duo", "partita movement|solo", "sonata movement", "recital piece"), _SCORED,
    ),
    "celtic jig": GenreWords(
        ("Irish folk", "Celtic folk", "Celtic jig music", "Irish jig music", "Celtic music"),
        ("Irish", "Celtic", "traditional Irish", "pub-session"),
        ("jig", "Irish jig", "jig", "Celtic jig", "Irish dance tune"), _TRAD,
    ),
    "celtic reel": GenreWords(
        ("Irish folk", "Celtic folk", "Celtic reel music", "Scottish folk", "Celtic music"),
        ("Irish", "Celtic", "ceilidh", "traditional Scottish"),
        ("reel", "Irish reel", "reel", "Celtic reel", "Scottish reel"), _TRAD,
    ),
    "acoustic folk": GenreWords(
        ("folk", "acoustic folk", "indie folk", "folk music"),
        ("folky", "acoustic", "campfire", "unplugged", "singer-songwriter style"),
        ("folk tune", "folk song", "folk ballad|slow"), _TRAD,
    ),
    "calypso": GenreWords(
        ("calypso", "calypso music", "Trinidadian calypso", "Caribbean music", "steel band music|steel drums"),
        ("Caribbean", "island", "tropical", "beach-party", "carnival"), ("calypso", "calypso tune"), _BAND,
    ),
    "world music": GenreWords(
        ("world music", "world fusion", "ethnic folk", "Japanese traditional music?koto",
         "Indian classical music?sitar"),
        ("Japanese?koto", "Japanese?shamisen", "Indian?sitar", "Andean?pan flute", "African?kalimba", "worldly",
         "folkloric"), (), _TRAD,
    ),
    "lullaby": GenreWords(("lullaby", "lullaby music"), ("bedtime", "nursery"), ("lullaby", "cradle song"),
        ("tune", "melody")),
}  # fmt: skip

MOODS: dict[str, MoodWords] = {
    "happy": MoodWords(
        ("happy", "cheerful", "joyful", "sunny", "feel-good", "merry", "cheery", "joyous", "jolly", "good-natured",
         "smiling"),
        ("joy", "happiness", "good cheer", "sunshine"), ("bouncy", "cheerful", "sunny", "bright"),
    ),
    "sad": MoodWords(
        ("sad", "sorrowful", "gloomy", "mournful", "downcast", "heartbroken", "tearful", "forlorn", "doleful",
         "grief-stricken"),
        ("sadness", "sorrow", "heartbreak", "grief"), ("plaintive", "weeping", "soft", "aching"),
    ),
    "calm": MoodWords(
        ("calm", "relaxing", "chill", "relaxed", "mellow", "soothing", "laid-back", "easygoing", "gentle", "restful"),
        ("calm", "ease", "quiet comfort"), ("soft", "gentle", "mellow", "easy"),
    ),
    "energetic": MoodWords(
        ("energetic", "high-energy", "lively", "driving", "punchy", "exciting", "spirited", "vigorous", "full-on",
         "pumped-up"),
        ("energy", "drive", "excitement", "adrenaline"), ("punchy", "driving", "lively", "tight"),
    ),
    "dark": MoodWords(
        ("dark", "brooding", "sinister", "ominous", "shadowy", "bleak", "murky", "grim"),
        ("darkness", "dread", "foreboding", "shadow"), ("dark", "murky", "brooding", "cold"),
    ),
    "bright": MoodWords(
        ("bright", "sparkling", "shiny", "radiant", "luminous", "shimmering", "crisp", "glittering"),
        ("light", "sparkle", "brightness"), ("bright", "sparkling", "crisp", "clear"),
    ),
    "melancholic": MoodWords(
        ("melancholic", "melancholy", "wistful", "bittersweet", "moody", "pensive", "rueful", "rainy-day"),
        ("melancholy", "longing", "quiet regret"), ("lonely", "wistful", "soft", "rueful"),
    ),
    "dreamy": MoodWords(
        ("dreamy", "ethereal", "hazy", "floating", "dreamlike", "airy", "otherworldly", "floaty"),
        ("dreaminess", "wonder", "weightlessness"), ("hazy", "airy", "floating", "washed-out"),
    ),
    "tense": MoodWords(
        ("tense", "suspenseful", "nervous", "anxious", "uneasy", "edgy", "nail-biting", "thriller-like"),
        ("tension", "suspense", "unease", "dread of what comes next"), ("tense", "nervous", "insistent", "edgy"),
    ),
    "warm": MoodWords(
        ("warm", "cozy", "tender", "heartfelt", "cosy", "intimate", "fireside"), ("warmth", "tenderness", "comfort"),
        ("warm", "round", "soft", "rich"),
    ),
    "playful": MoodWords(
        ("playful", "quirky", "whimsical", "fun", "lighthearted", "cheeky", "mischievous", "bouncy", "silly",
         "cartoonish"),
        ("fun", "mischief", "whimsy"), ("bouncy", "cheeky", "playful", "nimble"),
    ),
    "epic": MoodWords(
        ("epic", "heroic", "grand", "majestic", "triumphant", "huge", "larger-than-life", "monumental", "sweeping"),
        ("grandeur", "heroism", "triumph"), ("soaring", "mighty", "big", "proud"),
    ),
    "romantic": MoodWords(
        ("romantic", "loving", "passionate", "sensual", "lovestruck", "candlelit", "amorous"),
        ("love", "romance", "passion"),
        ("lush", "tender", "silky", "expressive"),
    ),
    "mysterious": MoodWords(
        ("mysterious", "eerie", "haunting", "enigmatic", "spooky", "cryptic", "strange", "uncanny"),
        ("mystery", "intrigue", "the unknown"), ("eerie", "haunting", "strange", "veiled"),
    ),
    "nostalgic": MoodWords(
        ("nostalgic", "sentimental", "yearning", "homesick", "reminiscent", "looking-back", "throwback"),
        ("nostalgia", "old memories", "yearning", "homesickness"), ("faded", "dusty", "worn-in", "vintage"),
    ),
    "aggressive": MoodWords(
        ("aggressive", "heavy", "angry", "fierce", "brutal", "furious", "hard-hitting", "menacing", "savage",
         "relentless"),
        ("aggression", "rage", "fury", "anger"), ("crushing", "heavy", "biting", "snarling"),
    ),
    "peaceful": MoodWords(
        ("peaceful", "serene", "tranquil", "meditative", "quiet", "placid", "still", "zen"),
        ("peace", "serenity", "stillness"),
        ("gentle", "quiet", "delicate", "soft"),
    ),
    "groovy": MoodWords(
        ("groovy", "grooving", "in-the-pocket", "head-nodding", "slinky", "toe-tapping", "hip-shaking", "infectious"),
        ("groove", "swagger", "rhythm"), ("tight", "slinky", "groovy", "bouncing"),
    ),
    "solemn": MoodWords(
        ("solemn", "reverent", "stately", "dignified", "somber", "austere", "grave", "sombre", "funereal"),
        ("reverence", "gravity", "dignity"), ("stately", "grave", "dignified", "austere"),
    ),
    "hopeful": MoodWords(
        ("hopeful", "uplifting", "inspiring", "optimistic", "inspirational", "heartening", "encouraging"),
        ("hope", "optimism", "promise"), ("uplifting", "clear", "open", "glowing"),
    ),
}  # fmt: skip
