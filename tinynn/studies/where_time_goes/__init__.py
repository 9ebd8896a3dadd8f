"""Where does the time of a training step go, and what does tn.compile save of it?"""

from tinynn.studies.where_time_goes.study import STUDY

__all__ = ["STUDY"]
