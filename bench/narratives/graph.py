"""How is what the tagger learned kept, so that the product can run it? As an ONNX graph of its own numbers.

Large tables are bytes in blocks, a scale for each: a quarter of the memory, and the runtime multiplies
bytes by bytes (`MatMulNBits`). One scale for a whole tensor, as dynamic quantisation has it, is faster on
processors with VNNI and wrong on others, whose sums of 16 bits overflow. All else is in half precision.
"""

# pyright: reportMissingImports=false
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper

from server.reconcile.narrative.tagger import Numbers

HEADS: Final = 12
BLOCK: Final = 128
TABLES: Final = {"chars_weight": BLOCK, "pairs_weight": 16}
"""How many numbers of a row share a scale: in layers, and in the tables that are looked up."""
ZERO: Final = 128  # the byte that stands for 0
BYTES, SCALES, HALF = "_bytes", "_scales", "_half"
DIRECTIONS: Final = {"forward": "forward", "backward": "reverse"}
"""The two halves of the LSTM, and what the standard calls their directions."""
STANDARD_GATES, TORCHS_GATES = (0, 3, 1, 2), (0, 2, 3, 1)
"""Where the other has the gates of an LSTM, in the order of each."""

# The graph in ONNX's own syntax. `com.microsoft` is what ONNX Runtime has beyond the standard's operators
# (ContribOperators.md of its documentation).
HEAD: Final = """<ir_version: 9, opset_import: ["": 20, "com.microsoft": 1]>
tagger (int64[t] chars, int64[t] pairs, float[t, listed] told) => (float[t, marks] scores)
<int64[1] zero = {0}, int64[1] one = {1}, int64[1] end = {-1}, int64[2] batch = {1, 2}, float nothing = {0}>
{"""
LOOKED_UP: Final = """
  {table}_known = com.microsoft.GatherBlockQuantized <bits = 8, block_size = {block}, quantize_axis = 1>
    ({table}_weight_bytes, {table}, {table}_weight_scales)"""
EMBEDDED: Final = """
  first, last = Split <axis = 0, num_outputs = 2> (edges)
  around = Concat <axis = 0> (first, chars_known, last)
  length = Shape <end = 1> (around)
  places = Slice (positions, zero, length)
  placed = Add (around, places)
  embedded = Unsqueeze (placed, zero)"""
LINEAR: Final = """
  {to}_product = com.microsoft.MatMulNBits
    <N = {rows}, K = {width}, bits = 8, block_size = {block}, accuracy_level = 4>
    ({seen}, {to}_weight_bytes, {to}_weight_scales)
  {to} = Add ({to}_product, {to}_bias)"""
NORM: Final = """
  {to} = LayerNormalization <axis = -1, epsilon = 1e-5> ({seen}, {to}_weight, {to}_bias)"""
ATTENDED: Final = """
  {layer}_query, {layer}_key, {layer}_value = Split <axis = 2, num_outputs = 3> ({layer}_asked)
  {layer}_attended = com.microsoft.MultiHeadAttention <num_heads = {heads}>
    ({layer}_query, {layer}_key, {layer}_value)"""
BENT: Final = """
  {layer}_bent = Gelu <approximate = "tanh"> ({layer}_wide)"""
ADDED: Final = """
  {to} = Add ({one}, {other})"""
BESIDE: Final = """
  alone = Squeeze ({seen}, zero)
  encoded = Slice (alone, one, end)
  some = Slice (pairs_known, zero, one)
  none = Mul (some, nothing)
  shifted = Concat <axis = 0> (none, pairs_known)
  pairs_before = Slice (shifted, zero, end)
  beside = Concat <axis = 1> (encoded, pairs_known, pairs_before, told)
  steps = Unsqueeze (beside, one)"""
REMEMBERED: Final = """
  {half}, {half}_state, {half}_memory = LSTM <hidden_size = {size}, direction = "{direction}">
    (steps, {half}_input, {half}_recurrent, {half}_bias)"""
SCORED: Final = """
  halves = Concat <axis = 3> (forward, backward)
  remembered = Squeeze (halves, batch)
  scores = Gemm <transB = 1> (remembered, out_weight, out_bias)
}"""


def write_graph(path: Path, parts: Mapping[str, Numbers], words: Mapping[str, str]) -> None:
    """Write the parts of a network as `Network.named` gives them, and the words that `tagger.Model` needs."""
    kept = {name: part for one in parts.items() for name, part in _kept(*one)}
    halves = (name.removesuffix(HALF) for name in kept if name.endswith(HALF))
    casts = (f"\n  {name} = Cast <to = 1> ({name}{HALF})" for name in halves)
    model = cast(Any, onnx.parser.parse_model("".join((HEAD, *casts, *_nodes(parts)))))
    model.graph.initializer.extend(numpy_helper.from_array(part, name) for name, part in kept.items())
    onnx.helper.set_model_props(model, dict(words))
    onnx.save(model, str(path))


def read_parts(path: Path) -> dict[str, Numbers]:
    """Return the parts that `write_graph` was given, rounded as they are kept."""
    stored = cast(Any, onnx.load(str(path))).graph.initializer
    kept = {one.name: numpy_helper.to_array(one) for one in stored}
    halves = {name.removesuffix(HALF): part for name, part in kept.items() if name.endswith(HALF)}
    tables = [name.removesuffix(BYTES) for name in kept if name.endswith(BYTES)]
    return {
        **{name: _in_torchs_order(name, part.astype(np.float32)) for name, part in halves.items()},
        **{name: _from_bytes(kept[name + BYTES], kept[name + SCALES]) for name in tables},
    }


def _kept(name: str, part: Numbers) -> Iterator[tuple[str, NDArray[Any]]]:
    if name not in TABLES and not (name.startswith("layer") and part.ndim == 2):
        yield name + HALF, _in_standard_order(name, part).astype(np.float16)
        return
    blocks = part.reshape(len(part), -1, TABLES.get(name, BLOCK))
    scales = np.maximum(np.abs(blocks).max(-1), np.float32(1e-8)) / 127
    numbers = np.rint(blocks / scales[..., None] + ZERO).astype(np.uint8)
    yield name + BYTES, numbers.reshape(part.shape) if name in TABLES else numbers
    yield name + SCALES, scales.astype(np.float32)


def _from_bytes(numbers: NDArray[np.uint8], scales: Numbers) -> Numbers:
    blocks = numbers.reshape(*scales.shape, -1).astype(np.float32) - ZERO
    return (blocks * scales[..., None]).reshape(len(scales), -1)


def _in_standard_order(name: str, part: Numbers) -> Numbers:
    """Lay a part of an LSTM as the standard has it: gates in its order, a second bias, one direction."""
    if name.partition("_")[0] not in DIRECTIONS:
        return part
    gates = np.concatenate([np.split(part, 4)[gate] for gate in STANDARD_GATES])
    return (np.concatenate([gates, np.zeros_like(gates)]) if name.endswith("_bias") else gates)[None]


def _in_torchs_order(name: str, part: Numbers) -> Numbers:
    if name.partition("_")[0] not in DIRECTIONS:
        return part
    gates = np.split(part[0], 2)[0] if name.endswith("_bias") else part[0]
    return np.concatenate([np.split(gates, 4)[gate] for gate in TORCHS_GATES])


def _nodes(parts: Mapping[str, Numbers]) -> Iterator[str]:
    yield from (LOOKED_UP.format(table=name.removesuffix("_weight"), block=TABLES[name]) for name in TABLES)
    yield EMBEDDED + NORM.format(to="norm0", seen="embedded")
    seen = "norm0"
    for layer in (f"layer{place}" for place in range(sum(name.endswith("_asked_bias") for name in parts))):
        yield _linear(f"{layer}_asked", seen, parts) + ATTENDED.format(layer=layer, heads=HEADS)
        yield _linear(f"{layer}_joined", f"{layer}_attended", parts)
        yield _added(f"{layer}_norm1", seen, f"{layer}_joined")
        yield _linear(f"{layer}_wide", f"{layer}_norm1", parts) + BENT.format(layer=layer)
        yield _linear(f"{layer}_narrow", f"{layer}_bent", parts)
        yield _added(f"{layer}_norm2", f"{layer}_norm1", f"{layer}_narrow")
        seen = f"{layer}_norm2"
    yield BESIDE.format(seen=seen)
    for half, direction in DIRECTIONS.items():
        size = parts[f"{half}_recurrent"].shape[1]
        yield REMEMBERED.format(half=half, direction=direction, size=size)
    yield SCORED


def _linear(to: str, seen: str, parts: Mapping[str, Numbers]) -> str:
    rows, width = parts[f"{to}_weight"].shape
    return LINEAR.format(to=to, seen=seen, rows=rows, width=width, block=BLOCK)


def _added(to: str, one: str, other: str) -> str:
    return ADDED.format(to=f"{to}_sum", one=one, other=other) + NORM.format(to=to, seen=f"{to}_sum")
