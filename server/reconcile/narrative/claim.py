"""What does a written account say, as a value with its place in the text?"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "arrived",
    "left",
    "time",
    "amount",
    "date",
    "promise",
    "met",
    "absent",
    "delivery",
    "dispute",
    "conduct",
    "debt",
    "outcome",
]


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that `text[start:end]` says. `value` is normal form, by kind:

    arrived, left, time: `HH:MM`; two of them joined by `|` where the words leave open which half of the day
    amount: fen. date: ISO. promise: `fen@date`, `-` for what is not said
    met: debtor, liable_person, nobody, or `third_party:relation`. absent: debtor
    delivery, dispute, conduct, debt, outcome: a word of `words.toml`
    """

    kind: Kind
    value: str
    start: int
    end: int
    is_approximate: bool = False

    def words(self, text: str) -> str:
        """Return the words of the text that say so."""
        return text[self.start : self.end]
