"""How are faults of an import file told? By line, column and what to do; never by the value itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowFault:
    """One fault of one row. `line` counts from 1 and is where the row begins; `column` is our name for it."""

    line: int
    column: str | None
    reason: str


class FileFault(Exception):
    """Nothing of the file can be read: no row was looked at. `columns` are those at fault, if any."""

    def __init__(self, reason: str, *, columns: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.columns = columns


class CellFault(Exception):
    """One cell cannot be used; the message says what to do. Caught where the row is known."""
