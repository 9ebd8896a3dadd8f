"""What does a cache of keys and values save, by the length of the text?"""

from tinynn.studies.kv_cache.study import STUDY

__all__ = ["STUDY"]
