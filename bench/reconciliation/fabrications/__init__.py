"""Every kind of fabrication, labelled by itself."""

from bench.reconciliation.fabrications import at_the_door, in_the_account, in_the_files, in_the_recording
from bench.reconciliation.fabrications.registry import FABRICATIONS, Fabrication

__all__ = ["FABRICATIONS", "Fabrication", "at_the_door", "in_the_account", "in_the_files", "in_the_recording"]
