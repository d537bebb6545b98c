"""In which words do visitors tell of a visit, and what is said at the door? Data: `wording.toml`."""

import tomllib
from pathlib import Path
from typing import Any, Final

_DATA: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _choices(name: str) -> tuple[str, ...]:
    return tuple(_DATA[name])


ARRIVED: Final = _choices("arrived")
LEFT: Final = _choices("left")
MET_DEBTOR: Final = _choices("met_debtor")
IDENTITY: Final = _choices("identity")
RECORDING: Final = _choices("recording")
CONFIRMED: Final = _choices("confirmed")
DISPUTED: Final = _choices("disputed")
REASONS: Final = _choices("reasons")
REFUSED: Final = _choices("refused")
PROMISED: Final = _choices("promised")
AWAY: Final = _choices("away")
THIRD: Final = _choices("third")
RELATIONS: Final[dict[str, str]] = _DATA["relations"]
DISCREET: Final = _choices("discreet")
NOBODY: Final = _choices("nobody")
DETAILS: Final = _choices("details")
MOODS: Final = _choices("moods")
TOLD_TO_DEBTOR: Final = _choices("told_to_debtor")
HANDED: Final = _choices("handed")
SIGNED: Final = _choices("signed")
TOOK_UNSIGNED: Final = _choices("took_unsigned")
REFUSES_LETTER: Final = _choices("refuses_letter")
MAILBOX: Final = _choices("mailbox")
UNDER_DOOR: Final = _choices("under_door")
SEALED: Final = _choices("sealed")
GREETINGS: Final = _choices("greetings")
GREETINGS_THIRD: Final = _choices("greetings_third")
ALONE: Final = _choices("alone")
IS_DEBTOR: Final = _choices("is_debtor")
ASKS: Final = _choices("asks")
EXPLAINS: Final = _choices("explains")
PROMISES: Final = _choices("promises")
REFUSES: Final = _choices("refuses")
DISPUTES: Final = _choices("disputes")
ADVISES: Final = _choices("advises")
SAYS_AWAY: Final = _choices("says_away")
LEAVES_WORD: Final = _choices("leaves_word")
NOISE_WORDS: Final = _choices("noise_words")
STREET_CRY: Final[str] = _DATA["street_cry"]
HOMOPHONES: Final[dict[str, str]] = _DATA["homophones"]
