"""The worked examples of the lecture "Digital Image Processing 03: Deep Learning Crash Course", computed by dipkernels,
and the report that shows them.
"""

from dipkernels.lecture.example import Example
from dipkernels.lecture.report import CHAPTERS, html

__all__ = ["CHAPTERS", "Example", "html"]
