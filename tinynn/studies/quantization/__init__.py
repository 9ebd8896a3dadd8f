"""What does it save to keep the weights of a language model in few bits, and what does it cost?"""

from tinynn.studies.quantization.study import STUDY

__all__ = ["STUDY"]
