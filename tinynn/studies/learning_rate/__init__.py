"""Why does training at learning rate 1 oscillate, and which rate would have been quick?"""

from tinynn.studies.learning_rate.study import STUDY

__all__ = ["STUDY"]
