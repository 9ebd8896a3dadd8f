"""Why do attention layers have several heads, where one as wide has the same parameters?"""

from tinynn.studies.many_heads.study import STUDY

__all__ = ["STUDY"]
