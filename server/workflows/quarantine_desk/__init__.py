"""What does the office do with items that nobody could apply?

`entries` lists what lies at the desk, `looking` shows exact bytes (and logs who looked), `deciding` releases
or sets aside, `correcting` puts a record of the office's own in their place. An item itself never changes.
"""
