"""The one file that a command writes."""

from __future__ import annotations

from pathlib import Path


def output_file(given: Path | None, default: str, reads: Path | None = None) -> Path:
    """What --out says, or the default, whose suffix says what kind of file it is; `reads`: what the command reads.

    ValueError for a folder, for a file of another kind, and for one that is read: it would be lost.
    """
    out, suffix = given or Path(default), Path(default).suffix
    if out.is_dir():
        raise ValueError(f"--out must be a file, and {out} is a folder")
    if out.suffix.lower() != suffix:
        raise ValueError(f"--out must end in {suffix}, which is what is written, got {str(out)!r}")
    if reads is not None and out.exists() and reads.resolve() in (out.resolve(), out.resolve().parent):
        raise ValueError(f"--out would replace {out}, which is read; give another name")
    return out
