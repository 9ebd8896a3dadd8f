"""Texts as token ids, and back: tokenizers of GGUF files and of Hugging Face folders."""
