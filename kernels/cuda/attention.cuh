// What the kernels of attention have in common: who sees whom, and tiles of rows in shared memory.
//
// Scores are kept in units of log2, so that their powers are one instruction.
#pragma once
#include "numbers.cuh"
#include "philox.cuh"

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

// The factors of dropout, as the reference of `dropout` draws them for the weights [B, H, L, S].
struct Dropout {
  unsigned long long threshold;  // p 2^32; 0: none
  float scale;                   // 1 / (1 - p)
  unsigned key0, key1, stream, step, offset;

  __device__ __forceinline__ float factor(unsigned sample, long long element) const {
    if (!threshold) return 1.f;
    const Words words = philox(unsigned(element / 4), offset + sample, step, stream, key0, key1);
    const unsigned low = element & 1 ? words.word[1] : words.word[0];
    const unsigned high = element & 1 ? words.word[3] : words.word[2];
    return (element & 2 ? high : low) >= threshold ? scale : 0.f;
  }
};

// One head of one sample: its sizes, mask and weights. `mask` of the reference is either `allowed`
// or `added`, or both are null; `row_step` and `column_step` are 0 for axes of length 1.
struct Pairs {
  int queries, keys;  // L, S
  bool causal;
  int window, sinks;  // window: more than the keys are where there is none
  float scale;
  const bool *allowed;
  const float *added;
  long long row_step, column_step;
  unsigned sample;
  long long first_weight;  // of the head, among those of the sample
  Dropout dropout;

  __device__ __forceinline__ bool sees(int row, int column) const {
    if (row >= queries || column >= keys) return false;
    if (causal && (column > row || (column <= row - window && column >= sinks))) return false;
    return !allowed || allowed[row * row_step + column * column_step];
  }
  // Whether all rows of a tile see all of its columns, and nothing is added to the scores.
  __device__ __forceinline__ bool see_all(int row, int end_row, int column, int end_column) const {
    if (allowed || added || end_row > queries || end_column > keys) return false;
    if (!causal) return true;
    return end_column - 1 <= row && (column > end_row - 1 - window || end_column <= sinks);
  }
  // Of the product of a query and a key; -inf where the query does not see the key. Of a tile that
  // is seen as a whole nothing is looked up.
  __device__ __forceinline__ float score(int row, int column, float product,
                                         bool whole = false) const {
    if (whole) return product * (scale * LOG2_E);
    if (!sees(row, column)) return -infinity();
    float score = product * scale;
    if (added) score += added[row * row_step + column * column_step];
    return score * LOG2_E;
  }
  __device__ __forceinline__ float kept(int row, int column) const {
    return dropout.factor(sample, first_weight + (long long)row * keys + column);
  }
};

// The columns that some of the rows `first` to `end` see, in tiles: from 0 to `gap`, and from
// `resume` to `end`.
struct Span {
  int gap, resume, end;

  __device__ Span(const Pairs &pairs, int first_row, int end_row, int tile) : gap(0), resume(0) {
    end = pairs.causal ? min(pairs.keys, end_row) : pairs.keys;
    if (pairs.causal) {
      resume = max(first_row - pairs.window + 1, 0) / tile * tile;
      gap = min(pairs.sinks, resume);
    }
  }
  // The first tile at or behind a place.
  __device__ int settled(int column) const {
    return column >= gap && column < resume ? resume : column;
  }
};

// The weight of a pair, its factor of dropout, and the gradient of its score.
struct Slope {
  float weight, kept, score;

  // products: of query and key, of g and value. base: what `base_of` gives of the row's lse.
  __device__ __forceinline__ Slope(const Pairs &pairs, int row, int column, float product,
                                   float g_weight, float base, float mean, bool whole = false) {
    weight = exp2_approximate(pairs.score(row, column, product, whole) - base);
    kept = weight == 0.f ? 0.f : pairs.kept(row, column);
    score = weight * (kept * g_weight - mean);
  }
};

__device__ __forceinline__ float base_of(float lse) {
  return lse == -infinity() ? 0.f : lse * LOG2_E;
}

// Arguments that all kernels of attention end with.
#define PAIRS_PARAMETERS                                                                   \
  int heads, int kv_heads, int queries, int keys, int width, int value_width, float scale, \
      bool causal, int window, int sinks, long long mask_sample, long long mask_head,      \
      long long mask_row, long long mask_column, unsigned long long threshold,             \
      float kept_scale, unsigned key0, unsigned key1, unsigned stream,                     \
      const long long *stream_at, unsigned step, const long long *step_at, unsigned offset, \
      const long long *offset_at

// The pairs of `head` of `sample`, from these arguments and the two masks.
#define PAIRS(sample, head)                                                                       \
  {                                                                                               \
    queries, keys, causal, window, sinks, scale,                                                  \
        allowed ? allowed + (sample)*mask_sample + (head)*mask_head : nullptr,                    \
        added ? added + (sample)*mask_sample + (head)*mask_head : nullptr, mask_row, mask_column, \
        unsigned(sample), (long long)(head)*queries *keys, {                                      \
      threshold, kept_scale, key0, key1, stream_at ? unsigned(*stream_at) : stream,               \
          step_at ? unsigned(*step_at) : step, offset_at ? unsigned(*offset_at) : offset          \
    }                                                                                             \
  }
