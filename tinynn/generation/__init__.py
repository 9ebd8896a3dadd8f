"""Language models at work: tokenizers, chat templates, streams of text."""

from tinynn.generation.chat_template import ChatTemplateError
from tinynn.generation.streaming import StreamDecoder
from tinynn.generation.tokenizer import Tokenizer

__all__ = ["ChatTemplateError", "StreamDecoder", "Tokenizer"]
