from ._comparison import render_comparison
from ._render import render_report

__all__ = [
    "render_comparison",
    "render_report",
]
