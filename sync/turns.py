"""Which files does a session send, turn by turn?

One that cannot go does not hold up the others. A file that stands aside is tried once another has gone, or
when no other is left; after one that broke again no other of them is tried in this session.
"""

from uuid import UUID

from sync.connection import SyncFault
from sync.events import FileArrived
from sync.file_queue import Aside
from sync.sending import FileRefused, FileSender
from sync.session import Session


def send_files(session: Session) -> None:
    """Send the files that are waiting. Raises SyncFault when the connection is the trouble."""
    files, report = session.outbox.files, session.report
    sender = FileSender(files, session.office, session.monotonic_ms, session.on_event, session.pace)
    passed: set[UUID] = set()
    aside: Aside = "last"
    while turn := files.next_turn(skipping=passed, aside=aside):
        name = turn.file.evidence_id
        try:
            has_arrived = sender.send(turn)
        except FileRefused as fault:
            passed.add(name)
            session.stick("file", name, str(fault))
            continue
        except SyncFault as fault:
            if not (turn.file.is_aside and fault.may_be_content):
                raise
            aside = "never"
            session.stick("file", name, str(fault))
            continue
        aside = "first" if aside == "last" else aside
        if has_arrived:
            report.uploaded += 1
            session.on_event(FileArrived(name, report.uploaded))
