"""Running models token by token: the cache of keys and values, and the blocks it is made of."""

from tinynn.inference.block_pool import BlockPool, CacheExhausted
from tinynn.inference.block_table import BlockTable
from tinynn.inference.cache_batch import CacheBatch
from tinynn.inference.kv_cache import CACHE_DTYPES, KVCache
from tinynn.ops.paged import PagedKV

__all__ = [
    "CACHE_DTYPES",
    "BlockPool",
    "BlockTable",
    "CacheBatch",
    "CacheExhausted",
    "KVCache",
    "PagedKV",
]
