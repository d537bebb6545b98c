"""A client that we did not write: RxDB replicates our change feed through its own protocol loop."""
