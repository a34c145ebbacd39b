"""Sigma rules in, hunts out. pySigma reads the rules; none of its backends or pipelines takes part."""

from .importing import Imported, Refused, import_file, to_yaml, unique_ids
from .rules import rule_files

__all__ = ["Imported", "Refused", "import_file", "rule_files", "to_yaml", "unique_ids"]
