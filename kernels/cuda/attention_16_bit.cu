// Attention and its gradients in tiles, without the matrix of scores: of numbers of 16 bits, on
// tensor cores. attention.cu computes the same in float32 and is easier to read.
//
// A block has 64 rows of one side (queries; or keys, for the gradients of keys), 16 for each of its
// four warps, and goes through tiles of the other side, of which the next is copied while it
// computes. A lane's scores are those of tensor_cores.cuh's matrix C: of two rows, and of two
// neighbours in every eight columns. As weights they are then the left matrix of a product.
#include "async_copy.cuh"
#include "attention.cuh"
#include "tensor_cores.cuh"

constexpr int WARPS = 4, OWN_ROWS = 16 * WARPS;

// Rows of up to D numbers lie 16 bytes further apart than they are long: in different banks.
template <int D>
struct Matrix {
  static constexpr int PITCH = D + 8;
};

// Starts the copies of rows first to first + ROWS of [count, width]; of zeros beyond.
template <int D, int ROWS, class T>
__device__ __forceinline__ void copy_tile(T *tile, const T *from, int first, int count,
                                          int width) {
#pragma unroll
  for (int i = threadIdx.x; i < ROWS * (D / 8); i += 32 * WARPS) {
    const int row = i / (D / 8), column = i % (D / 8) * 8;
    const bool beyond = first + row >= count || column >= width;
    const T *place = beyond ? from : from + (size_t)(first + row) * width + column;
    copy_async_16(tile + row * Matrix<D>::PITCH + column, place, beyond);
  }
}

// scores = own rows x the COLUMNS rows of a tile, transposed.
template <int D, int COLUMNS, class T>
__device__ __forceinline__ void multiply(const T *own, const T *tile, float (*scores)[4]) {
  constexpr int PITCH = Matrix<D>::PITCH;
  const int lane = threadIdx.x % 32;
  own += lane % 16 * PITCH + lane / 16 * 8;
  tile += (lane / 16 * 8 + lane % 8) * PITCH + lane / 8 % 2 * 8;
#pragma unroll
  for (int i = 0; i < COLUMNS / 8; i++)
#pragma unroll
    for (int e = 0; e < 4; e++) scores[i][e] = 0.f;
#pragma unroll
  for (int step = 0; step < D; step += 16) {
    unsigned a[4];
    load_8x8_x4(a, own + step);
#pragma unroll
    for (int column = 0; column < COLUMNS; column += 16) {
      unsigned b[4];
      load_8x8_x4(b, tile + column * PITCH + step);
      multiply_16x8x16<T>(scores[column / 8], a, b);
      multiply_16x8x16<T>(scores[column / 8 + 1], a, b + 2);
    }
  }
}

// sums += weights x the COLUMNS rows of a tile.
template <int D, int COLUMNS, class T>
__device__ __forceinline__ void add_rows(const float (*weights)[4], const T *tile,
                                         float (*sums)[4]) {
  constexpr int PITCH = Matrix<D>::PITCH;
  const int lane = threadIdx.x % 32;
  tile += lane % 16 * PITCH + lane / 16 * 8;
#pragma unroll
  for (int row = 0; row < COLUMNS; row += 16) {
    unsigned a[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float *two = weights[row / 8 + i / 2] + i % 2 * 2;
      a[i] = pack(Number<T>::narrow(two[0]), Number<T>::narrow(two[1]));
    }
#pragma unroll
    for (int column = 0; column < D; column += 16) {
      unsigned b[4];
      load_8x8_x4_transposed(b, tile + row * PITCH + column);
      multiply_16x8x16<T>(sums[column / 8], a, b);
      multiply_16x8x16<T>(sums[column / 8 + 1], a, b + 2);
    }
  }
}

// Row `row` of a lane's two, times a factor, to the row at `place`.
template <int D, class T>
__device__ __forceinline__ void store_row(T *place, int width, const float (*sums)[4], int row,
                                          float factor) {
  place += threadIdx.x % 4 * 2;
#pragma unroll
  for (int i = 0; i < D / 8; i++) {
    if (8 * i >= width) break;
    const float two[2] = {sums[i][2 * row] * factor, sums[i][2 * row + 1] * factor};
    store<T, 2, true>(place + 8 * i, 2, two);
  }
}

// A way through tiles: copy(stage, tile) is called for each ahead of work(stage, tile), and
// next(tile) gives the one behind.
template <class Copy, class Next, class Work>
__device__ __forceinline__ void for_each_tile(int tile, int end, Copy copy, Next next, Work work) {
  if (tile < end) copy(0, tile);
  close_copies();
  for (int stage = 0; tile < end; stage ^= 1) {
    const int behind = next(tile);
    wait_for_copies<0>();
    __syncthreads();  // all have copied this tile, and are done with the one before it
    if (behind < end) copy(stage ^ 1, behind);
    close_copies();
    work(stage, tile);
    tile = behind;
  }
  wait_for_copies<0>();
}

// What a thread has: rows `first` + row, for row = own[0] and own[1], of `head` of `sample`.
#define ROWS_BEGIN                                                                      \
  constexpr int PITCH = Matrix<D>::PITCH;                                               \
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;     \
  const int first = blockIdx.x * OWN_ROWS, head = blockIdx.y, sample = blockIdx.z;      \
  const int warp_row = first + 16 * warp, own[2] = {warp_row + g, warp_row + g + 8};    \
  DYNAMIC_SHARED(T, shared)

// Grid: (tiles of queries, heads, samples). lse: [samples, heads, queries].
template <class T, int D>
__global__ void __launch_bounds__(32 * WARPS) attention_16_bit(
    const T *__restrict__ query, const T *__restrict__ key, const T *__restrict__ value,
    const bool *__restrict__ allowed, const float *__restrict__ added, T *__restrict__ out,
    float *__restrict__ lse, PAIRS_PARAMETERS) {
  ROWS_BEGIN;
  constexpr int COLUMNS = 64, TILE = COLUMNS * PITCH;
  T *query_tile = shared, *tiles = query_tile + OWN_ROWS * PITCH;  // [2][key, value]
  const Pairs pairs = PAIRS(sample, head);
  const size_t line = ((size_t)sample * heads + head) * queries;
  const size_t key_line = ((size_t)sample * kv_heads + head / (heads / kv_heads)) * keys;
  copy_tile<D, OWN_ROWS>(query_tile, query + line * width, first, queries, width);

  float top[2] = {-infinity(), -infinity()}, total[2] = {}, sums[D / 8][4] = {};
  auto copy = [&](int stage, int tile) {
    T *place = tiles + stage * 2 * TILE;
    copy_tile<D, COLUMNS>(place, key + key_line * width, tile, keys, width);
    copy_tile<D, COLUMNS>(place + TILE, value + key_line * value_width, tile, keys, value_width);
  };
  const Span span(pairs, first, first + OWN_ROWS, COLUMNS);
  auto next = [&](int tile) { return span.settled(tile + COLUMNS); };
  for_each_tile(span.settled(0), span.end, copy, next, [&](int stage, int tile) {
    const T *key_tile = tiles + stage * 2 * TILE;
    float scores[COLUMNS / 8][4];
    multiply<D, COLUMNS>(query_tile + 16 * warp * PITCH, key_tile, scores);
    const bool whole = pairs.see_all(warp_row, warp_row + 16, tile, tile + COLUMNS);
#pragma unroll
    for (int row = 0; row < 2; row++) {
      float highest = top[row];
#pragma unroll
      for (int i = 0; i < COLUMNS / 8; i++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float &score = scores[i][2 * row + e];
          score = pairs.score(own[row], tile + 8 * i + 2 * t + e, score, whole);
          highest = fmaxf(highest, score);
        }
      highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, 2));
      const float base = highest == -infinity() ? 0.f : highest;
      const float shrink = exp2_approximate(top[row] - base);
      top[row] = highest;
      total[row] *= shrink;
#pragma unroll
      for (int i = 0; i < D / 8; i++) {
        sums[i][2 * row] *= shrink;
        sums[i][2 * row + 1] *= shrink;
      }
#pragma unroll
      for (int i = 0; i < COLUMNS / 8; i++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float &score = scores[i][2 * row + e];
          score = exp2_approximate(score - base);
          total[row] += score;
          // The factor 1 / (1 - p) comes at the end: in float16 it might be infinity.
          if (threshold && pairs.kept(own[row], tile + 8 * i + 2 * t + e) == 0.f) score = 0.f;
        }
    }
    add_rows<D, COLUMNS>(scores, key_tile + TILE, sums);
  });

#pragma unroll
  for (int row = 0; row < 2; row++) {
    total[row] += __shfl_xor_sync(WHOLE_WARP, total[row], 1);
    total[row] += __shfl_xor_sync(WHOLE_WARP, total[row], 2);
    if (own[row] >= queries) continue;
    const float share = total[row] == 0.f ? 0.f : (threshold ? kept_scale : 1.f) / total[row];
    store_row<D>(out + (line + own[row]) * value_width, value_width, sums, row, share);
    if (t == 0) lse[line + own[row]] = (top[row] + log2f(total[row])) * LN_2;
  }
}

// The gradient of queries. Grid: (tiles of queries, heads, samples).
template <class T, int D>
__global__ void __launch_bounds__(32 * WARPS) attention_16_bit_backward_queries(
    const T *__restrict__ g_out, const T *__restrict__ query, const T *__restrict__ key,
    const T *__restrict__ value, const bool *__restrict__ allowed,
    const float *__restrict__ added, const float *__restrict__ lse,
    const float *__restrict__ means, T *__restrict__ g_query, PAIRS_PARAMETERS) {
  ROWS_BEGIN;
  constexpr int COLUMNS = 32, TILE = COLUMNS * PITCH;
  T *query_tile = shared, *g_tile = query_tile + OWN_ROWS * PITCH;
  T *tiles = g_tile + OWN_ROWS * PITCH;  // [2][key, value]
  const Pairs pairs = PAIRS(sample, head);
  const size_t line = ((size_t)sample * heads + head) * queries;
  const size_t key_line = ((size_t)sample * kv_heads + head / (heads / kv_heads)) * keys;
  copy_tile<D, OWN_ROWS>(query_tile, query + line * width, first, queries, width);
  copy_tile<D, OWN_ROWS>(g_tile, g_out + line * value_width, first, queries, value_width);
  float base[2], mean[2], sums[D / 8][4] = {};
#pragma unroll
  for (int row = 0; row < 2; row++) {
    base[row] = own[row] < queries ? base_of(lse[line + own[row]]) : 0.f;
    mean[row] = own[row] < queries ? means[line + own[row]] : 0.f;
  }
  auto copy = [&](int stage, int tile) {
    T *place = tiles + stage * 2 * TILE;
    copy_tile<D, COLUMNS>(place, key + key_line * width, tile, keys, width);
    copy_tile<D, COLUMNS>(place + TILE, value + key_line * value_width, tile, keys, value_width);
  };
  const Span span(pairs, first, first + OWN_ROWS, COLUMNS);
  auto next = [&](int tile) { return span.settled(tile + COLUMNS); };
  for_each_tile(span.settled(0), span.end, copy, next, [&](int stage, int tile) {
    const T *key_tile = tiles + stage * 2 * TILE;
    float scores[COLUMNS / 8][4], g_weights[COLUMNS / 8][4];
    multiply<D, COLUMNS>(query_tile + 16 * warp * PITCH, key_tile, scores);
    multiply<D, COLUMNS>(g_tile + 16 * warp * PITCH, key_tile + TILE, g_weights);
    const bool whole = pairs.see_all(warp_row, warp_row + 16, tile, tile + COLUMNS);
#pragma unroll
    for (int i = 0; i < COLUMNS / 8; i++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int row = e / 2, column = tile + 8 * i + 2 * t + e % 2;
        scores[i][e] = Slope(pairs, own[row], column, scores[i][e], g_weights[i][e], base[row],
                             mean[row], whole).score;
      }
    add_rows<D, COLUMNS>(scores, key_tile, sums);
  });
#pragma unroll
  for (int row = 0; row < 2; row++)
    if (own[row] < queries)
      store_row<D>(g_query + (line + own[row]) * width, width, sums, row, scale);
}

// The gradients of keys and values: a block goes through all queries that see its keys, of all
// heads of the group. Rows are keys here, and columns queries. Grid: (tiles of keys, kv_heads,
// samples).
template <class T, int D>
__global__ void __launch_bounds__(32 * WARPS) attention_16_bit_backward_keys(
    const T *__restrict__ g_out, const T *__restrict__ query, const T *__restrict__ key,
    const T *__restrict__ value, const bool *__restrict__ allowed,
    const float *__restrict__ added, const float *__restrict__ lse,
    const float *__restrict__ means, T *__restrict__ g_key, T *__restrict__ g_value,
    PAIRS_PARAMETERS) {
  ROWS_BEGIN;
  constexpr int COLUMNS = 32, TILE = COLUMNS * PITCH;
  T *key_tile = shared, *value_tile = key_tile + OWN_ROWS * PITCH;
  T *tiles = value_tile + OWN_ROWS * PITCH;  // [2][query, g]
  const size_t key_line = ((size_t)sample * kv_heads + head) * keys;
  copy_tile<D, OWN_ROWS>(key_tile, key + key_line * width, first, keys, width);
  copy_tile<D, OWN_ROWS>(value_tile, value + key_line * value_width, first, keys, value_width);

  // The queries that see some key of the tile: all behind it, but for the window.
  const int begin = causal ? first : 0, group = heads / kv_heads;
  const bool bounded = causal && first >= sinks;
  const int end = bounded ? min(queries, first + OWN_ROWS - 1 + window) : queries;
  float key_sums[D / 8][4] = {}, value_sums[D / 8][4] = {};
  for (int member = 0; member < group; member++) {
    const Pairs pairs = PAIRS(sample, head * group + member);
    const size_t line = ((size_t)sample * heads + head * group + member) * queries;
    auto copy = [&](int stage, int tile) {
      T *place = tiles + stage * 2 * TILE;
      copy_tile<D, COLUMNS>(place, query + line * width, tile, queries, width);
      copy_tile<D, COLUMNS>(place + TILE, g_out + line * value_width, tile, queries, value_width);
    };
    auto next = [](int tile) { return tile + COLUMNS; };
    __syncthreads();  // the tiles of the member before are done with
    for_each_tile(begin, end, copy, next, [&](int stage, int tile) {
      const T *query_tile = tiles + stage * 2 * TILE;
      float scores[COLUMNS / 8][4], weights[COLUMNS / 8][4];
      multiply<D, COLUMNS>(key_tile + 16 * warp * PITCH, query_tile, scores);
      multiply<D, COLUMNS>(value_tile + 16 * warp * PITCH, query_tile + TILE, weights);
      const bool whole = pairs.see_all(tile, tile + COLUMNS, warp_row, warp_row + 16);
#pragma unroll
      for (int i = 0; i < COLUMNS / 8; i++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int place = tile + 8 * i + 2 * t + e;
          const float base = place < queries ? base_of(lse[line + place]) : 0.f;
          const float mean = place < queries ? means[line + place] : 0.f;
#pragma unroll
          for (int row = 0; row < 2; row++) {
            float &score = scores[i][2 * row + e], &weight = weights[i][2 * row + e];
            const Slope slope(pairs, place, own[row], score, weight, base, mean, whole);
            score = slope.score;
            // As in `attention_16_bit`, the factor 1 / (1 - p) comes at the end.
            weight = slope.kept == 0.f ? 0.f : slope.weight;
          }
        }
      add_rows<D, COLUMNS>(scores, query_tile, key_sums);
      add_rows<D, COLUMNS>(weights, query_tile + TILE, value_sums);
    });
  }
#pragma unroll
  for (int row = 0; row < 2; row++) {
    if (own[row] >= keys) continue;
    const size_t place = key_line + own[row];
    store_row<D>(g_key + place * width, width, key_sums, row, scale);
    store_row<D>(g_value + place * value_width, value_width, value_sums, row,
                 threshold ? kept_scale : 1.f);
  }
}
