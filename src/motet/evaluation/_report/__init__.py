"""The report: one self-contained page, drawn from ``metrics.json`` alone."""

from motet.evaluation._report._render import render_report

__all__ = ["render_report"]
