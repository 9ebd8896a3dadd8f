"""Language models at work: loading, tokenizers, generation, conversations."""

from tinynn.generation.chat_templates.rendering import ChatTemplateError
from tinynn.generation.conversation import Conversation
from tinynn.generation.loading import load
from tinynn.generation.loop import generate, stream
from tinynn.generation.published import PUBLISHED, pull
from tinynn.generation.sampling import Sampling
from tinynn.generation.saving import save
from tinynn.generation.sequence import Piece, Result
from tinynn.generation.tokenizers.streaming import StreamDecoder
from tinynn.generation.tokenizers.tokenizer import Tokenizer

__all__ = [
    "PUBLISHED",
    "ChatTemplateError",
    "Conversation",
    "Piece",
    "Result",
    "Sampling",
    "StreamDecoder",
    "Tokenizer",
    "generate",
    "load",
    "pull",
    "save",
    "stream",
]
