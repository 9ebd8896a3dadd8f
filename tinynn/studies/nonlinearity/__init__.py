"""Is the non-linearity between the layers needed, or would leaving it out only save time?"""

from tinynn.studies.nonlinearity.study import STUDY

__all__ = ["STUDY"]
