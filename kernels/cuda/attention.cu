// Attention and its gradients in tiles, without the matrix of scores: on CUDA cores, in float32.
//
// A tile has ROWS rows of queries and as many of keys. Four lanes share a row: for scores each has
// every fourth row of the other side, for sums of rows every fourth group of four columns.
#include "attention.cuh"

// The shape of tiles for rows of up to D numbers. Rows in shared memory are 16 bytes apart more
// than they are long, so that the four that lanes read at once lie in different banks.
template <int D>
struct Tiles {
  static constexpr int ROWS = D <= 128 ? 32 : 16;
  static constexpr int THREADS = 4 * ROWS;
  static constexpr int PITCH = D + 4, TILE = ROWS * PITCH;
  static constexpr int WEIGHT_PITCH = ROWS + 4, WEIGHTS = ROWS * WEIGHT_PITCH;
  static constexpr int SCORES = ROWS / 4;  // of a lane
};

// Rows first to first + ROWS of [count, width] as float32, and zeros beyond.
template <int D, class T>
__device__ __forceinline__ void load_tile(float *tile, const T *from, int first, int count,
                                          int width, bool grouped) {
  using Shape = Tiles<D>;
  for (int i = threadIdx.x; i < Shape::ROWS * (D / 4); i += Shape::THREADS) {
    const int row = i / (D / 4), column = i % (D / 4) * 4;
    const int size = first + row < count ? min(4, width - column) : 0;
    const T *place = from + (size_t)(first + row) * width + column;
    float four[4] = {};
    if (grouped) load<T, 4, true>(place, size, four);
    else load<T, 4, false>(place, size, four);
    store<float, 4, true>(tile + row * Shape::PITCH + column, 4, four);
  }
}

template <class T>
__device__ __forceinline__ void store_four(T *place, int size, const float *four, bool grouped) {
  if (grouped) store<T, 4, true>(place, size, four);
  else store<T, 4, false>(place, size, four);
}

// sums[i] = the product of the lane's own row and row 4 i of `others`.
template <int D>
__device__ __forceinline__ void multiply(const float *own, const float *others, float *sums) {
  using Shape = Tiles<D>;
#pragma unroll
  for (int i = 0; i < Shape::SCORES; i++) sums[i] = 0.f;
#pragma unroll 4
  for (int column = 0; column < D; column += 4) {
    const float4 a = *reinterpret_cast<const float4 *>(own + column);
#pragma unroll
    for (int i = 0; i < Shape::SCORES; i++) {
      const float *other = others + 4 * i * Shape::PITCH + column;
      const float4 b = *reinterpret_cast<const float4 *>(other);
      sums[i] += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
    }
  }
}

// sums += the rows of `tile`, with the weights of the lane's own row; the lane has the columns
// 16 i to 16 i + 3 from the first of `tile` on.
template <int D>
__device__ __forceinline__ void add_rows(const float *weights, const float *tile, float *sums) {
  using Shape = Tiles<D>;
#pragma unroll 4
  for (int row = 0; row < Shape::ROWS; row++) {
    const float weight = weights[row];
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      const float *place = tile + row * Shape::PITCH + 16 * i;
      const float4 four = *reinterpret_cast<const float4 *>(place);
      sums[4 * i] += weight * four.x;
      sums[4 * i + 1] += weight * four.y;
      sums[4 * i + 2] += weight * four.z;
      sums[4 * i + 3] += weight * four.w;
    }
  }
}

// Which row and which quarter of it a thread has, and the head that a block has.
#define TILE_BEGIN                                                                          \
  using Shape = Tiles<D>;                                                                   \
  const int row = threadIdx.x / 4, quarter = threadIdx.x % 4;                               \
  const int head = blockIdx.y, sample = blockIdx.z;                                         \
  DYNAMIC_SHARED(float, shared)

// Grid: (tiles of queries, heads, samples). lse: [samples, heads, queries].
// grouped: whether rows are read and written four numbers at a time.
template <class T, int D>
__global__ void __launch_bounds__(Tiles<D>::THREADS) attention(
    const T *__restrict__ query, const T *__restrict__ key, const T *__restrict__ value,
    const bool *__restrict__ allowed, const float *__restrict__ added, T *__restrict__ out,
    float *__restrict__ lse, bool grouped, PAIRS_PARAMETERS) {
  TILE_BEGIN;
  float *query_tile = shared, *key_tile = query_tile + Shape::TILE;
  float *value_tile = key_tile + Shape::TILE, *weights = value_tile + Shape::TILE;
  const Pairs pairs = PAIRS(sample, head);
  const int first = blockIdx.x * Shape::ROWS, own = first + row;
  const size_t line = ((size_t)sample * heads + head) * queries;
  const size_t key_line = ((size_t)sample * kv_heads + head / (heads / kv_heads)) * keys;
  load_tile<D>(query_tile, query + line * width, first, queries, width, grouped);

  float top = -infinity(), total = 0.f, sums[D / 4] = {};
  float *own_weights = weights + row * Shape::WEIGHT_PITCH;
  const Span span(pairs, first, first + Shape::ROWS, Shape::ROWS);
  for (int tile = span.settled(0); tile < span.end; tile = span.settled(tile + Shape::ROWS)) {
    __syncthreads();  // the tiles before are done with
    load_tile<D>(key_tile, key + key_line * width, tile, keys, width, grouped);
    load_tile<D>(value_tile, value + key_line * value_width, tile, keys, value_width, grouped);
    __syncthreads();
    float scores[Shape::SCORES], highest = top;
    multiply<D>(query_tile + row * Shape::PITCH, key_tile + quarter * Shape::PITCH, scores);
#pragma unroll
    for (int i = 0; i < Shape::SCORES; i++) {
      scores[i] = pairs.score(own, tile + 4 * i + quarter, scores[i]);
      highest = fmaxf(highest, scores[i]);
    }
    highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, 2));
    const float base = highest == -infinity() ? 0.f : highest;
    const float shrink = exp2_approximate(top - base);
    top = highest;
    total *= shrink;
#pragma unroll
    for (int i = 0; i < D / 4; i++) sums[i] *= shrink;
#pragma unroll
    for (int i = 0; i < Shape::SCORES; i++) {
      const int column = tile + 4 * i + quarter;
      const float weight = exp2_approximate(scores[i] - base);
      total += weight;
      own_weights[4 * i + quarter] = weight * pairs.kept(own, column);
    }
    __syncwarp();  // the four lanes of a row have its weights
    add_rows<D>(own_weights, value_tile + 4 * quarter, sums);
  }

  total += __shfl_xor_sync(WHOLE_WARP, total, 1);
  total += __shfl_xor_sync(WHOLE_WARP, total, 2);
  if (own >= queries) return;
  const float share = total == 0.f ? 0.f : 1.f / total;
#pragma unroll
  for (int i = 0; i < D / 16; i++) {
    const int column = 16 * i + 4 * quarter, size = min(4, value_width - column);
#pragma unroll
    for (int j = 0; j < 4; j++) sums[4 * i + j] *= share;
    store_four(out + (line + own) * value_width + column, size, sums + 4 * i, grouped);
  }
  if (quarter == 0) lse[line + own] = (top + log2f(total)) * LN_2;
}

// means[row] = sum(g[row] out[row]), [rows]: the mean of the gradients of a row's scores.
// A warp takes a row.
template <class T>
__global__ void attention_means(const T *__restrict__ g, const T *__restrict__ out,
                                float *__restrict__ means, long long rows, int width) {
  const long long row = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (row >= rows) return;
  float sum = 0.f;
  for (int column = threadIdx.x % 32; column < width; column += 32)
    sum += Number<T>::widen(g[row * width + column]) * Number<T>::widen(out[row * width + column]);
#pragma unroll
  for (int bit = 16; bit; bit /= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, bit);
  if (threadIdx.x % 32 == 0) means[row] = sum;
}

// The gradient of queries. Grid: (tiles of queries, heads, samples).
template <class T, int D>
__global__ void __launch_bounds__(Tiles<D>::THREADS) attention_backward_queries(
    const T *__restrict__ g, const T *__restrict__ query, const T *__restrict__ key,
    const T *__restrict__ value, const bool *__restrict__ allowed,
    const float *__restrict__ added, const float *__restrict__ lse,
    const float *__restrict__ means, T *__restrict__ g_query, bool grouped, PAIRS_PARAMETERS) {
  TILE_BEGIN;
  float *query_tile = shared, *g_tile = query_tile + Shape::TILE;
  float *key_tile = g_tile + Shape::TILE, *value_tile = key_tile + Shape::TILE;
  float *own_slopes = value_tile + Shape::TILE + row * Shape::WEIGHT_PITCH;
  const Pairs pairs = PAIRS(sample, head);
  const int first = blockIdx.x * Shape::ROWS, own = first + row;
  const size_t line = ((size_t)sample * heads + head) * queries;
  const size_t key_line = ((size_t)sample * kv_heads + head / (heads / kv_heads)) * keys;
  load_tile<D>(query_tile, query + line * width, first, queries, width, grouped);
  load_tile<D>(g_tile, g + line * value_width, first, queries, value_width, grouped);
  const float base = own < queries ? base_of(lse[line + own]) : 0.f;
  const float mean = own < queries ? means[line + own] : 0.f;

  float sums[D / 4] = {};
  const Span span(pairs, first, first + Shape::ROWS, Shape::ROWS);
  for (int tile = span.settled(0); tile < span.end; tile = span.settled(tile + Shape::ROWS)) {
    __syncthreads();  // the tiles before are done with
    load_tile<D>(key_tile, key + key_line * width, tile, keys, width, grouped);
    load_tile<D>(value_tile, value + key_line * value_width, tile, keys, value_width, grouped);
    __syncthreads();
    float products[Shape::SCORES], g_weights[Shape::SCORES];
    multiply<D>(query_tile + row * Shape::PITCH, key_tile + quarter * Shape::PITCH, products);
    multiply<D>(g_tile + row * Shape::PITCH, value_tile + quarter * Shape::PITCH, g_weights);
#pragma unroll
    for (int i = 0; i < Shape::SCORES; i++) {
      const int column = 4 * i + quarter;
      const Slope slope(pairs, own, tile + column, products[i], g_weights[i], base, mean);
      own_slopes[column] = slope.score;
    }
    __syncwarp();  // the four lanes of a row have its slopes
    add_rows<D>(own_slopes, key_tile + 4 * quarter, sums);
  }
  if (own >= queries) return;
#pragma unroll
  for (int i = 0; i < D / 16; i++) {
    const int column = 16 * i + 4 * quarter, size = min(4, width - column);
#pragma unroll
    for (int j = 0; j < 4; j++) sums[4 * i + j] *= scale;
    store_four(g_query + (line + own) * width + column, size, sums + 4 * i, grouped);
  }
}

// The gradients of keys and values: a block goes through all queries that see its keys, of all
// heads of the group. Grid: (tiles of keys, kv_heads, samples).
template <class T, int D>
__global__ void __launch_bounds__(Tiles<D>::THREADS) attention_backward_keys(
    const T *__restrict__ g, const T *__restrict__ query, const T *__restrict__ key,
    const T *__restrict__ value, const bool *__restrict__ allowed,
    const float *__restrict__ added, const float *__restrict__ lse,
    const float *__restrict__ means, T *__restrict__ g_key, T *__restrict__ g_value, bool grouped,
    PAIRS_PARAMETERS) {
  TILE_BEGIN;
  float *key_tile = shared, *value_tile = key_tile + Shape::TILE;
  float *query_tile = value_tile + Shape::TILE, *g_tile = query_tile + Shape::TILE;
  float *own_slopes = g_tile + Shape::TILE + row * Shape::WEIGHT_PITCH;
  float *own_weights = own_slopes + Shape::WEIGHTS;
  const int first = blockIdx.x * Shape::ROWS, own = first + row, group = heads / kv_heads;
  const size_t key_line = ((size_t)sample * kv_heads + head) * keys;
  load_tile<D>(key_tile, key + key_line * width, first, keys, width, grouped);
  load_tile<D>(value_tile, value + key_line * value_width, first, keys, value_width, grouped);

  // The queries that see some key of the tile: all behind it, but for the window.
  const int begin = causal ? first : 0;
  const bool bounded = causal && first >= sinks;
  const int end = bounded ? min(queries, first + Shape::ROWS - 1 + window) : queries;
  float key_sums[D / 4] = {}, value_sums[D / 4] = {};
  for (int member = 0; member < group; member++) {
    const Pairs pairs = PAIRS(sample, head * group + member);
    const size_t line = ((size_t)sample * heads + head * group + member) * queries;
    for (int tile = begin; tile < end; tile += Shape::ROWS) {
      __syncthreads();  // the tiles before are done with
      load_tile<D>(query_tile, query + line * width, tile, queries, width, grouped);
      load_tile<D>(g_tile, g + line * value_width, tile, queries, value_width, grouped);
      __syncthreads();
      float products[Shape::SCORES], g_weights[Shape::SCORES];
      multiply<D>(key_tile + row * Shape::PITCH, query_tile + quarter * Shape::PITCH, products);
      multiply<D>(value_tile + row * Shape::PITCH, g_tile + quarter * Shape::PITCH, g_weights);
#pragma unroll
      for (int i = 0; i < Shape::SCORES; i++) {
        const int within = 4 * i + quarter, place = tile + within;
        const bool real = place < queries;
        const float base = real ? base_of(lse[line + place]) : 0.f;
        const float mean = real ? means[line + place] : 0.f;
        const Slope slope(pairs, place, own, products[i], g_weights[i], base, mean);
        own_slopes[within] = slope.score;
        own_weights[within] = slope.weight * slope.kept;
      }
      __syncwarp();  // the four lanes of a row have its slopes
      add_rows<D>(own_slopes, query_tile + 4 * quarter, key_sums);
      add_rows<D>(own_weights, g_tile + 4 * quarter, value_sums);
    }
  }
  if (own >= keys) return;
#pragma unroll
  for (int i = 0; i < D / 16; i++) {
    const int column = 16 * i + 4 * quarter;
#pragma unroll
    for (int j = 0; j < 4; j++) key_sums[4 * i + j] *= scale;
    store_four(g_key + (key_line + own) * width + column, min(4, width - column),
               key_sums + 4 * i, grouped);
    store_four(g_value + (key_line + own) * value_width + column, min(4, value_width - column),
               value_sums + 4 * i, grouped);
  }
}
