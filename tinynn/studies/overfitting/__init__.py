"""Why do more neurons learn the training images better and others worse, and what helps?"""

from tinynn.studies.overfitting.study import STUDY

__all__ = ["STUDY"]
