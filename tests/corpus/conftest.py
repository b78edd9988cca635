"""What the band's tests share."""

import pytest

from toccata.corpus.soundfonts import FONTS, soundfont
from toccata.errors import InputError


@pytest.fixture(scope="session")
def fonts() -> tuple[str, ...]:
    """The names of both soundfonts, where they are on this machine."""
    try:
        for name in FONTS:
            soundfont(name, fetch=False)
    except InputError as error:
        pytest.skip(str(error))
    return tuple(FONTS)
