"""What does a client's file say? Bytes in, rows or row faults out; pure, streaming, knows no tables.

`reading.read` is the door. Nothing here ever raises anything but `FileFault`, whatever the bytes are.
"""
