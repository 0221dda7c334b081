"""Models in files that run elsewhere, and models compiled cell by cell."""

from .compile import compile_cells
from .export import ExportReport, export_model
from .formats import FORMATS

__all__ = ['FORMATS', 'ExportReport', 'compile_cells', 'export_model']
