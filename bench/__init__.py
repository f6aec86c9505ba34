"""Benchmarks: `python -m bench`. Speed is claimed only from here, as a ratio against a named peer in the same run."""
