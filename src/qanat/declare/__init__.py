"""From files to a `Pipeline`: the spec, SQL statements, Python decorators.

Read `find` and `spec` first (the project), then `library` (its files), then `statements` (SQL)
and `python` (decorators); both end in `query`, which finds what a query reads, and `registry`,
which gathers declarations and everything that is wrong with them.
"""

from qanat.declare.find import find_spec
from qanat.declare.library import Declared, load_pipeline
from qanat.declare.spec import load_project

__all__ = ["Declared", "find_spec", "load_pipeline", "load_project"]
