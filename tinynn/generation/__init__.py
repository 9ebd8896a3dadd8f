"""Language models at work: chat templates."""

from tinynn.generation.chat_template import ChatTemplateError

__all__ = ["ChatTemplateError"]
