"""A phone that records until it is killed: `python -m tests.sync.appending <folder>`.

Prints a line for each item when `append` has returned, and for each batch when `acknowledge` has; whatever
was printed must be in the outbox afterwards.
"""

import sys
from pathlib import Path

from sync.envelope import DeviceKey
from sync.outbox import Outbox
from tests.sync.made import append


def main(folder: Path) -> None:
    """Append for ever; acknowledge every fifth item."""
    outbox, key = Outbox(folder / "outbox.sqlite"), DeviceKey.generate()
    while True:
        sealed = append(outbox, key)
        print("appended", sealed.item_id, sealed.digest.hex(), flush=True)
        if sealed.digest[0] % 5 == 0:
            outbox.acknowledge(
                [{"id": str(sealed.item_id), "outcome": "applied", "receipt": {"by": "office"}}]
            )
            print("acknowledged", sealed.item_id, sealed.digest.hex(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
