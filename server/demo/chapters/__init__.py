"""The story's chapters, in the order they happen. Each is a few functions over one `Scene`."""
