"""What does the tagger compute while it learns? The same as `server.reconcile.narrative.tagger`, in PyTorch.

Embedding and the two GRU layers start from the lexical analyser that the package jieba carries (LAC, Jiao et
al., "Chinese Lexical Analysis with Deep Bi-GRU-CRF Network", 2018; Apache-2.0): it has read far more Chinese
than anybody can label here. Pairs of characters, the LSTM and what stands above it are learned from our
accounts alone.
"""

# pyright: reportMissingImports=false
import struct
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

import jieba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from server.reconcile.narrative.tagger import DIRECTIONS, Model

CHARACTER, HIDDEN, PAIR, TOP = 128, 128, 48, 160
NOTHING = 0
ANALYSER: Final = files(jieba) / "lac_small"


def published(name: str) -> NDArray[np.float32]:
    """Read one array of the published analyser, flat (PaddlePaddle's format of a tensor)."""
    stored = (ANALYSER / "model_baseline" / name).read_bytes()
    behind_levels = 12 + struct.unpack("<Q", stored[4:12])[0] + 4
    described = struct.unpack("<i", stored[behind_levels : behind_levels + 4])[0]
    return np.frombuffer(stored[behind_levels + 4 + described :], "<f4")


def published_rows() -> dict[str, NDArray[np.float32]]:
    """Return the published embedding of each character; `OOV` is the unknown one."""
    table = published("word_emb").reshape(-1, CHARACTER)
    lines = (ANALYSER / "word.dic").read_text("utf-8").split("\n")
    pairs = (line.split("\t") for line in lines if line.count("\t") == 1)
    return {char: table[int(row)] for row, char in pairs}


@torch.jit.script
def _run(coming: Tensor, present: Tensor, gates_of: Tensor, candidate_of: Tensor) -> Tensor:
    """Run both directions at once: (time, 2, batch, 3 * hidden); the second lies backwards in time."""
    size = candidate_of.size(1)
    of_gates, of_candidates = coming[..., : 2 * size].unbind(0), coming[..., 2 * size :].unbind(0)
    there = present.unbind(0)
    state = torch.zeros(2, coming.size(2), size)
    states: list[Tensor] = []
    for at in range(len(of_gates)):
        update, reset = torch.sigmoid(torch.baddbmm(of_gates[at], state, gates_of)).chunk(2, -1)
        candidate = torch.tanh(torch.baddbmm(of_candidates[at], reset * state, candidate_of))
        state = state + there[at] * update * (candidate - state)
        states.append(state)
    return torch.stack(states)


class Gru(nn.Module):
    """Both directions of a GRU whose reset gate acts before the recurrent weights, from a published layer."""

    def __init__(self, width: int, first: int) -> None:
        super().__init__()
        sides = [_published_side(width, place) for place in (first, first + 1)]
        self.input, self.bias, self.gates, self.candidate = (
            nn.Parameter(torch.stack([torch.tensor(side[part]) for side in sides])) for part in range(4)
        )

    def forward(self, seen: Tensor, present: Tensor) -> Tensor:
        both = torch.stack([seen, seen.flip(0)], 1) @ self.input[None] + self.bias[None, :, None]
        ran = _run(both, torch.stack([present, present.flip(0)], 1), self.gates, self.candidate)
        return torch.cat([ran[:, 0], ran[:, 1].flip(0)], -1)


def _published_side(width: int, place: int) -> tuple[NDArray[np.float32], ...]:
    recurrent = published(f"gru_{place}.w_0")
    gates = recurrent[: 2 * HIDDEN * HIDDEN].reshape(HIDDEN, 2 * HIDDEN)
    candidate = recurrent[2 * HIDDEN * HIDDEN :].reshape(HIDDEN, HIDDEN)
    bias = published(f"fc_{place}.b_0") + published(f"gru_{place}.b_0")
    return published(f"fc_{place}.w_0").reshape(width, 3 * HIDDEN), bias, gates, candidate


class Network(nn.Module):
    """Scores of each mark at each character, from rows of characters and of pairs (batch, time)."""

    def __init__(self, rows: NDArray[np.float32], pairs: int, marks: int) -> None:
        super().__init__()
        self.chars = nn.Embedding.from_pretrained(torch.tensor(rows), freeze=False, padding_idx=NOTHING)
        self.pairs = nn.Embedding(pairs, PAIR, padding_idx=NOTHING)
        nn.init.normal_(self.pairs.weight, std=0.3)
        with torch.no_grad():
            self.pairs.weight[NOTHING] = 0
        self.gru1, self.gru2 = Gru(CHARACTER, 0), Gru(2 * HIDDEN, 2)
        self.lstm = nn.LSTM(2 * HIDDEN + CHARACTER + 2 * PAIR, TOP, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * TOP, marks)
        for name, part in self.lstm.named_parameters():
            if name.startswith("bias_hh"):  # the other bias says the same
                nn.init.zeros_(part).requires_grad_(False)

    def forward(self, chars: Tensor, pairs: Tensor, lengths: Tensor) -> Tensor:
        present = (torch.arange(chars.size(1))[:, None] < lengths[None]).float()[:, :, None]
        seen = self._dropped(self.chars(chars), 0.15)
        inner = self._dropped(self.gru1(seen.transpose(0, 1), present), 0.2)
        inner = self._dropped(self.gru2(inner, present).transpose(0, 1), 0.3)
        paired = self.pairs(pairs)
        behind = functional.pad(paired, (0, 0, 1, 0))[:, :-1]
        parts = [inner, seen, self._dropped(paired, 0.3), self._dropped(behind, 0.3)]
        packed = nn.utils.rnn.pack_padded_sequence(
            torch.cat(parts, -1), lengths, batch_first=True, enforce_sorted=False
        )
        top, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.out(self._dropped(top, 0.3))

    def _dropped(self, seen: Tensor, share: float) -> Tensor:
        return functional.dropout(seen, share, self.training)

    def stored(self) -> dict[str, NDArray[np.float16]]:
        """Return the learned numbers under the names by which the product's tagger reads them."""
        return {name: part.detach().numpy().astype(np.float16) for name, part in self._named()}

    @torch.no_grad()
    def restore(self, model: Model) -> None:
        """Take back what the product's tagger has."""
        for name, part in self._named():
            part.copy_(torch.tensor(model.part(name)))

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        """Each part as the product has it."""
        yield from (("chars.weight", self.chars.weight), ("pairs.weight", self.pairs.weight))
        for name, gru in (("gru1", self.gru1), ("gru2", self.gru2)):
            for side, direction in enumerate(DIRECTIONS):
                for part in ("input", "bias", "gates", "candidate"):
                    yield f"{name}.{direction}.{part}", getattr(gru, part)[side]
        lstm = dict(self.lstm.named_parameters())
        for suffix, direction in zip(("", "_reverse"), DIRECTIONS, strict=True):
            yield f"lstm.{direction}.input", lstm[f"weight_ih_l0{suffix}"].T
            yield f"lstm.{direction}.recurrent", lstm[f"weight_hh_l0{suffix}"].T
            yield f"lstm.{direction}.bias", lstm[f"bias_ih_l0{suffix}"]
        yield from (("out.weight", self.out.weight.T), ("out.bias", self.out.bias))
