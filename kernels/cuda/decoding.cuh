// What the kernels of decode attention have in common: their arguments, and how a block begins.
//
// Scores are kept in units of log2, so that their powers are one instruction; sums so far are
// scaled down when a higher score is met (the online softmax of Milakov and Gimelshein,
// https://arxiv.org/abs/1805.02867).
#pragma once
#include "paged.cuh"

// What the kernels are given; see the reference for the arrays.
template <class T, class Cache>
struct Arguments {
  const T *query;
  const int *starts;
  const Cache *keys, *values;
  const float *key_scales, *value_scales;
  const int *tables, *lengths;
  T *out;       // null where there are several splits, which then go to
  float *part;  // [splits, tokens, heads, head_dim]
  float *lse;   // [splits, tokens, heads]
  int tokens, heads, kv_heads, head_dim, sequences, table_width, block_bits;
  int window;  // at least 1, and more than the keys are where there is none
  int sinks;
  int fixed;  // the strips of a split of fixed size, or 0
  float scale;
};

// What a block of the grid (tiles, kv_heads, splits) does: one tile of queries, one split of its
// strips. Scores become powers of 2 after they are multiplied by `scale`.
template <class T, class Cache>
struct Work {
  Tile tile;
  Strips strips;
  Head<Cache> head;
  Results<T> results;
  const T *query;  // of the tile
  int group, rows;
  float scale;

  // False where the block has none.
  __device__ __forceinline__ bool find(const Arguments<T, Cache> &given) {
    group = given.heads / given.kv_heads;
    if (!find_tile(blockIdx.x, TILE / group, given.starts, given.lengths, given.sequences, tile))
      return false;
    rows = tile.tokens * group;
    strips = find_strips(tile, given.window, given.sinks, given.fixed, blockIdx.z, gridDim.z);
    const int first = max(tile.position - given.window + 1, 0);
    head = {given.keys, given.values, given.key_scales, given.value_scales,
            given.tables + size_t(tile.sequence) * given.table_width,
            int(blockIdx.y), given.kv_heads, given.head_dim, given.block_bits,
            tile.end(), first, given.sinks};
    const size_t split = blockIdx.z * size_t(given.tokens) * given.heads;
    results = {given.out, given.part + split * given.head_dim, given.lse + split,
               given.heads, given.head_dim};
    query = given.query + (size_t(tile.first) * given.heads + head.head * group) * given.head_dim;
    scale = given.scale * LOG2_E;
    return true;
  }
  // Where the query of a row begins, from the tile's.
  __device__ size_t place(int row) const {
    return (size_t(row / group) * results.heads + row % group) * results.head_dim;
  }
};

// What the row's query sees: keys up to `position`, those after `below` or before the sinks' end.
struct Row {
  int position, below;

  template <class T, class Cache>
  __device__ Row(const Work<T, Cache> &work, int row, int window)
      : position(row < work.rows ? work.tile.position + row / work.group : -1),
        below(position - window) {}
  __device__ bool sees(int key, int sinks) const {
    return key <= position && (key > below || key < sinks);
  }
};
