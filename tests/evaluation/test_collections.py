"""The official tables of MusicCaps and Song Describer, with what sound the user has of them."""

from pathlib import Path

import pytest

from toccata.errors import InputError
from toccata.evaluation.collections import read_collection

MUSICCAPS = """ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,is_balanced_subset,is_audioset_eval
-0Gj8-vB1q4,30,40,"/m/0140xf","['pop', 'soft']","A low voice sings,
 over a ""soft"" bed.",4,False,True
-0SdAVK79lg,30,40,"/m/0155w","['jazz']",Jazz guitar.,0,True,False
-0vPFx-wRRI,30,40,"/m/025_jnm","['amateur']",A male voice.,6,False,True
"""  # noqa: E501
SONG_DESCRIBER = """caption_id,track_id,caption,is_valid_subset,familiarity,artist_id,album_id,path,duration
10,1004034,Slow piano.,True,0,1,2,34/1004034.mp3,188
11,1004034,A sad tune.,False,0,1,2,34/1004034.mp3,188
12,1007274,Fast drums.,True,1,3,4,74/1007274.mp3,201
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("-0Gj8-vB1q4.wav", "deep/[-0SdAVK79lg]-[30-40].mp3", "34/1004034.2min.mp3", "unrelated.wav")
    for name in names:
        (tmp_path / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "audio" / name).touch()
    (tmp_path / "musiccaps.csv").write_text(MUSICCAPS)
    (tmp_path / "sdd.csv").write_text(SONG_DESCRIBER)
    return tmp_path


def test_musiccaps_clips_are_found_by_their_ids(folder):
    items, missing = read_collection(folder / "musiccaps.csv", folder / "audio")
    assert [item.name for item in items] == ["-0Gj8-vB1q4", "-0SdAVK79lg"]
    assert items[0].prompt == 'A low voice sings, over a "soft" bed.'
    assert items[1].path == folder / "audio/deep/[-0SdAVK79lg]-[30-40].mp3"
    assert missing == 1


@pytest.mark.parametrize(
    ("split", "found", "missing"), [("balanced", ["-0SdAVK79lg"], 0), ("eval", ["-0Gj8-vB1q4"], 1)]
)
def test_the_official_splits(folder, split: str, found: list[str], missing: int):
    items, absent = read_collection(folder / "musiccaps.csv", folder / "audio", split)
    assert ([item.name for item in items], absent) == (found, missing)


def test_song_describer_has_several_captions_of_a_track(folder):
    items, missing = read_collection(folder / "sdd.csv", folder / "audio")
    assert [(item.name, item.prompt) for item in items] == [("10", "Slow piano."), ("11", "A sad tune.")]
    assert items[0].path == items[1].path
    assert missing == 1
    assert len(read_collection(folder / "sdd.csv", folder / "audio", "valid")[0]) == 1


def test_other_tables_splits_and_folders_are_refused(folder):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    (folder / "empty").mkdir()
    (folder / "empty/x.wav").touch()
    for table, audio, split, says in (
        ("other.csv", "audio", "all", "neither"),
        ("none.csv", "audio", "all", "cannot be read"),
        ("sdd.csv", "audio", "eval", "no split 'eval'.*valid"),
        ("sdd.csv", "nowhere", "all", "not a folder"),
        ("musiccaps.csv", "empty", "all", "none of the 3 clips is in"),
    ):
        with pytest.raises(InputError, match=says):
            read_collection(folder / table, folder / audio, split)
