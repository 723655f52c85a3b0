from ._run import compare_methods
from ._spec import ComparedMethod, ComparedSchema, ComparisonSpec, read_spec

__all__ = ["ComparedMethod", "ComparedSchema", "ComparisonSpec", "compare_methods", "read_spec"]
