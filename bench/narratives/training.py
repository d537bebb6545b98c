"""Let the tagger learn from the labelled accounts: `python -m bench.narratives.training`.

    pip install torch jieba; python -m bench.narratives.training [--epochs 12] [--seed 1] [--onwards]

Learns from `building`, the lists' own sentences and `marked.txt`, and writes what the product's tagger reads.
Every `--every` epochs it prints how `judging.txt` is tagged: how often each mark is there, its precision and
its recall, sentence by sentence.
`--onwards` starts from what was learned before, its characters and pairs, at a third of the pace.
"""

# pyright: reportMissingImports=false
import argparse
import copy
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.narratives.marked import JUDGING, MARKS, PROMISED, Marked, marked, of_labelled, plain_sentences
from bench.narratives.network import CHARACTER, NOTHING, Network, published_rows
from bench.narratives.scoring import labelled
from server.reconcile.narrative import tagger
from server.reconcile.narrative.tagger import UNKNOWN, sentences

OUT: Final = Path(tagger.__file__).with_name(tagger.WEIGHTS)
VALUES: Final = tuple(mark for mark in MARKS.values() if "=" in mark)
KINDS: Final = (
    *(mark for mark in MARKS.values() if "=" not in mark),
    *dict.fromkeys(mark.partition("=")[0] for mark in VALUES),
    *PROMISED.values(),
)
NAMES: Final = (*KINDS, *VALUES)
ALTERNATIVES: Final = ("met", "dispute")
"""Kinds of which one place says one value; of the others it may say several."""
OF_KIND: Final = {
    kind: [place for place, mark in enumerate(VALUES) if mark.startswith(f"{kind}=")]
    for kind in KINDS
    if any(mark.startswith(f"{kind}=") for mark in VALUES)
}
BATCH: Final = 40
RARE_CHARACTER, RARE_PAIR = 1, 5  # seen fewer times: no row of its own
FORGET_CHARACTER, FORGET_PAIR = 0.03, 0.1  # shares that are made unknown while learning
FASTEST: Final = 3e-3  # steps of what is new; what was published takes half of them
ONWARDS: Final = 1e-3
OFTENER: Final = 3
"""How often an epoch shows each account of `building`, whose labels more than one person has read."""
KEPT_OF_AVERAGE: Final = 0.995


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which characters and pairs have rows, and which."""

    chars: dict[str, int]
    pairs: dict[str, int]

    def encode(self, one: Marked) -> "Example":
        """Return the rows and marks of an account."""
        kinds, values = torch.zeros(len(one.text), len(KINDS)), torch.zeros(len(one.text), len(VALUES))
        for start, end, mark in one.marks:
            kind, _, value = mark.partition("=")
            kinds[start:end, KINDS.index(kind)] = 1
            if value:
                values[start:end, VALUES.index(mark)] = 1
        return Example(
            torch.tensor([self.chars.get(tagger.normal(char), UNKNOWN) for char in one.text]),
            torch.tensor([*(self.pairs.get(a + b, UNKNOWN) for a, b in pairwise(one.text)), UNKNOWN]),
            kinds,
            values,
            torch.tensor(sentences(one.text)),
        )


@dataclass(frozen=True, slots=True)
class Example:
    chars: Tensor
    pairs: Tensor
    kinds: Tensor
    values: Tensor
    sentences: Tensor


def vocabulary(accounts: Sequence[Marked]) -> Vocabulary:
    """Give rows to what was seen often enough to learn from."""
    chars = Counter(tagger.normal(char) for one in accounts for char in one.text)
    pairs = Counter(a + b for one in accounts for a, b in pairwise(one.text))
    return Vocabulary(_rows(chars, RARE_CHARACTER), _rows(pairs, RARE_PAIR))


def _rows(seen: Counter[str], rare: int) -> dict[str, int]:
    known = [name for name, count in seen.most_common() if count >= rare]
    return {name: row for row, name in enumerate(known, UNKNOWN + 1)}


def _anew(accounts: Sequence[Marked]) -> tuple[Vocabulary, Network]:
    """Start from what was published; a character that it does not know starts as its unknown one."""
    words = vocabulary(accounts)
    rows = published_rows()
    table = np.zeros((len(words.chars) + UNKNOWN + 1, CHARACTER), np.float32)
    table[UNKNOWN] = rows["OOV"]
    for char, row in words.chars.items():
        table[row] = rows.get(char, rows["OOV"])
    made = Network(table, len(words.pairs) + UNKNOWN + 1, len(NAMES))
    with torch.no_grad():
        made.out.bias[: len(KINDS)] = -3.5  # most characters belong to nothing
    return words, made


def _before(weights: Path) -> tuple[Vocabulary, Network]:
    """Start from what was learned before."""
    model = tagger.read_model(weights)
    words = Vocabulary(model.chars, model.pairs)
    made = Network(model.part("chars.weight"), len(words.pairs) + UNKNOWN + 1, len(NAMES))
    made.restore(model)
    return words, made


def batches(examples: Sequence[Example], chance: random.Random) -> Iterator[list[Example]]:
    """Mix them; those of a batch are about as long as each other."""
    order = chance.sample(range(len(examples)), len(examples))
    near = 20 * BATCH
    mixed = [
        sorted(order[at : at + near], key=lambda one: len(examples[one].chars))
        for at in range(0, len(order), near)
    ]
    together = [one for part in mixed for one in part]
    groups = [together[at : at + BATCH] for at in range(0, len(together), BATCH)]
    chance.shuffle(groups)
    return ([examples[one] for one in group] for group in groups)


def padded(group: Sequence[Example], part: str, value: float = 0) -> Tensor:
    parts = [getattr(one, part) for one in group]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=value)


def loss_of(scores: Tensor, group: Sequence[Example], lengths: Tensor) -> Tensor:
    """How wrong: whether a character belongs to a kind, whether its sentence does, which value it says."""
    kinds, values = padded(group, "kinds"), padded(group, "values")
    of_kinds, of_values = scores[..., : len(KINDS)], scores[..., len(KINDS) :]
    is_there = (torch.arange(kinds.size(1))[None] < lengths[:, None])[:, :, None]
    wrong = functional.binary_cross_entropy_with_logits(of_kinds, kinds, reduction="none")
    total = (wrong * is_there).sum() + 0.7 * _loss_of_sentences(of_kinds, kinds, group)
    for kind, places in OF_KIND.items():
        at = kinds[..., KINDS.index(kind)] > 0
        told, score = values[at][:, places], of_values[at][:, places]
        if not at.any():
            continue
        if kind in ALTERNATIVES:
            share = told / told.sum(-1, keepdim=True).clamp(min=1)
            total = total - 0.5 * (functional.log_softmax(score, -1) * share).sum()
        else:
            total = total + 0.5 * functional.binary_cross_entropy_with_logits(score, told, reduction="sum")
    return total / lengths.sum()


def _loss_of_sentences(scores: Tensor, kinds: Tensor, group: Sequence[Example]) -> Tensor:
    count = max(int(one.sentences[-1]) for one in group) + 1
    place = padded(group, "sentences", count)[:, :, None].expand(-1, -1, kinds.size(2))
    shape = (kinds.size(0), count + 1, kinds.size(2))
    highest = torch.full(shape, -30.0).scatter_reduce(1, place, scores, "amax")[:, :count]
    said = torch.zeros(shape).scatter_reduce(1, place, kinds, "amax")[:, :count]
    return functional.binary_cross_entropy_with_logits(highest, said, reduction="sum")


def learn(accounts: Sequence[Marked], judging: Sequence[Marked], options: argparse.Namespace) -> None:
    """Learn, print how it goes, and write the average of the last steps."""
    chance = random.Random(options.seed)
    words, learned = _before(options.out) if options.onwards else _anew(accounts)
    average = copy.deepcopy(learned)
    examples = [words.encode(one) for one in accounts]
    print(f"{len(examples)} accounts, {len(words.chars)} characters, {len(words.pairs)} pairs", flush=True)
    published = [*learned.chars.parameters(), *learned.gru1.parameters(), *learned.gru2.parameters()]
    ours = [*learned.pairs.parameters(), *learned.lstm.parameters(), *learned.out.parameters()]
    fastest = ONWARDS if options.onwards else FASTEST
    rates = [fastest / 2, fastest]
    groups = [{"params": part, "lr": rate} for part, rate in zip((published, ours), rates, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
    steps = options.epochs * -(-len(examples) // BATCH)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps + 1, pct_start=0.2)
    begun = time.monotonic()
    for epoch in range(1, options.epochs + 1):
        lost = 0.0
        for group in batches(examples, chance):
            lost += _step(learned, group, optimiser)
            pace.step()
            _follow(average, learned)
        print(f"epoch {epoch}: loss {lost * BATCH / len(examples):.4f}, {time.monotonic() - begun:.0f} s")
        if epoch % options.every == 0 or epoch == options.epochs:
            write(average, words, options.out)
            judge(judging, options.out)


def _step(learned: Network, group: Sequence[Example], optimiser: torch.optim.Optimizer) -> float:
    lengths = torch.tensor([len(one.chars) for one in group])
    chars = _forgetful(padded(group, "chars"), FORGET_CHARACTER)
    pairs = _forgetful(padded(group, "pairs"), FORGET_PAIR)
    loss = loss_of(learned(chars, pairs, lengths), group, lengths)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _forgetful(rows: Tensor, share: float) -> Tensor:
    return torch.where((torch.rand(rows.shape) < share) & (rows != NOTHING), torch.tensor(UNKNOWN), rows)


@torch.no_grad()
def _follow(average: Network, learned: Network) -> None:
    for kept, new in zip(average.parameters(), learned.parameters(), strict=True):
        kept.lerp_(new, 1 - KEPT_OF_AVERAGE)


def write(learned: Network, words: Vocabulary, out: Path) -> None:
    """Write what the product's tagger reads."""
    parts: dict[str, Any] = {
        "chars": np.array("".join(words.chars)),
        "pairs": np.array("".join(words.pairs)),
        "marks": np.array(" ".join(NAMES)),
        "alternatives": np.array(
            "|".join(" ".join(VALUES[at] for at in OF_KIND[kind]) for kind in ALTERNATIVES)
        ),
    }
    np.savez_compressed(out, **parts, **learned.stored(), allow_pickle=False)


def judge(accounts: Sequence[Marked], weights: Path) -> None:
    """Print how the product's tagger marks these accounts."""
    model = tagger.read_model(weights)
    right, found, there = Counter[str](), Counter[str](), Counter[str]()
    for one in accounts:
        place = sentences(one.text)
        marks = tagger.tag(one.text, model)
        seen = {(mark, int(at)) for mark in NAMES for at in place[_likely(marks, mark) > 0.5]}
        told = {(mark, int(place[start])) for start, _, mark in one.marks}
        for counts, these in ((right, seen & told), (found, seen), (there, told)):
            counts.update(mark.partition("=")[0] for mark, _ in these if mark not in OF_KIND)
    for kind in KINDS:
        precision, recall = (right[kind] / max(counts[kind], 1) for counts in (found, there))
        print(f"  {kind:<16} {there[kind]:>5} {precision:.3f} {recall:.3f}", flush=True)


def _likely(marks: tagger.Marks, mark: str) -> tagger.Numbers:
    kind, _, value = mark.partition("=")
    return marks.likely[kind] * marks.likely[mark] if value else marks.likely[kind]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--onwards", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    building = [of_labelled(one) for one in labelled() if one.part == "building"]
    accounts = [*building * OFTENER, *plain_sentences(), *marked()]
    learn(accounts, list(marked(JUDGING)), options)


if __name__ == "__main__":
    main()
