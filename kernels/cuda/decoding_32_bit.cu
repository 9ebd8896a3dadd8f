// Attention of new tokens to a cache of float32 in blocks, on CUDA cores: every key and value is
// read from memory once for all heads of its group. paged.cuh says how they are gone through.
//
// Two lanes share a key of the strip, and each has its scores with half of the tile's queries. For
// the mixture of values a lane has some columns instead, for all queries; the weights pass from the
// one division to the other through shared memory.
#include "decoding.cuh"

// The columns of lane 0 of the D that 32 lanes share, and from one group of neighbours to the next.
template <int D>
struct Columns {
  static constexpr int COUNT = D / 32, TOGETHER = COUNT < 4 ? COUNT : 4, APART = 32 * TOGETHER;
};

template <class T, class Cache, int D>
__global__ void __launch_bounds__(Ring<Cache, D>::WARPS * 32, 2) decode_32_bit(
    const T *__restrict__ query, const int *__restrict__ starts, const Cache *__restrict__ keys,
    const Cache *__restrict__ values, const float *__restrict__ key_scales,
    const float *__restrict__ value_scales, const int *__restrict__ tables,
    const int *__restrict__ lengths, T *__restrict__ out, float *__restrict__ part,
    float *__restrict__ lse, int tokens, int heads, int kv_heads, int head_dim, int sequences,
    int table_width, int block_bits, int window, int sinks, int fixed, float scale) {
  using Shape = Ring<Cache, D>;
  using Own = Columns<D>;
  constexpr int HALF = TILE / 2;
  __shared__ float tops[Shape::WARPS][TILE], totals[Shape::WARPS][TILE];
  __shared__ __align__(16) float all_weights[Shape::WARPS][STRIP][TILE + 4];
  __shared__ __align__(16) float all_shrinks[Shape::WARPS][TILE];
  const Arguments<T, Cache> given = {
      query, starts, keys, values, key_scales, value_scales, tables, lengths,
      out, part, lse, tokens, heads, kv_heads, head_dim, sequences,
      table_width, block_bits, window, sinks, fixed, scale};
  Work<T, Cache> work;
  if (!work.find(given)) return;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int rows = work.rows;
  DYNAMIC_SHARED(unsigned char, shared);
  unsigned char *ring = shared + warp * Shape::WARP;
  if (head_dim < D) clear_ring<Cache, D>(ring);

  float *staged = reinterpret_cast<float *>(shared + Shape::BYTES);  // [TILE][D], the queries
  for (int i = threadIdx.x; i < TILE * D; i += Shape::WARPS * 32) {
    const int row = i / D, column = i % D;
    const bool real = row < rows && column < head_dim;
    staged[i] =
        real ? Number<T>::widen(work.query[work.place(row) + column]) * work.scale : 0.f;
  }
  __syncthreads();

  float(*weights)[TILE + 4] = all_weights[warp];
  float *shrinks = all_shrinks[warp];
  const int token = lane % 16, odd = lane / 16;  // the lane has the rows odd, odd + 2, ...
  float top[HALF], total[HALF], sums[TILE][Own::COUNT] = {};
#pragma unroll
  for (int i = 0; i < HALF; i++) top[i] = -infinity(), total[i] = 0.f;

  for_each_strip<D>(work.head, work.strips, ring, [&](const unsigned char *stage, int strip) {
    const int key = strip * STRIP + token;
    const float *own_key = reinterpret_cast<const float *>(stage + token * Shape::PITCH);
    float scores[HALF] = {};
#pragma unroll 4
    for (int column = 0; column < D; column += 4) {
      const float4 k = *reinterpret_cast<const float4 *>(own_key + column);
#pragma unroll
      for (int i = 0; i < HALF; i++) {
        if (2 * i >= rows) break;
        const float *row = staged + (2 * i + odd) * D + column;
        const float4 q = *reinterpret_cast<const float4 *>(row);
        scores[i] += q.x * k.x + q.y * k.y + q.z * k.z + q.w * k.w;
      }
    }
#pragma unroll
    for (int i = 0; i < HALF; i++) {
      if (2 * i >= rows) break;
      const int row = 2 * i + odd;
      const bool visible = Row(work, row, window).sees(key, sinks);
      float highest = visible ? scores[i] : -infinity();
      scores[i] = highest;
#pragma unroll
      for (int bit = 8; bit; bit /= 2)
        highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, bit));
      highest = fmaxf(highest, top[i]);
      const float base = highest == -infinity() ? 0.f : highest;
      const float shrink = exp2_approximate(top[i] - base);
      const float weight = exp2_approximate(scores[i] - base);
      top[i] = highest;
      total[i] = total[i] * shrink + weight;
      weights[token][row] = weight;
      if (token == 0) shrinks[row] = shrink;
    }
    __syncwarp();
#pragma unroll
    for (int row = 0; row < TILE; row++)
      if (row < rows)
#pragma unroll
        for (int i = 0; i < Own::COUNT; i++) sums[row][i] *= shrinks[row];
#pragma unroll 4
    for (int k = 0; k < STRIP; k++) {
      const unsigned char *place = stage + Shape::VALUES + k * Shape::PITCH;
      const float *own_values = reinterpret_cast<const float *>(place);
      float own[Own::COUNT];
#pragma unroll
      for (int i = 0; i < Own::COUNT; i += Own::TOGETHER)
        load<float, Own::TOGETHER, true>(
            own_values + i / Own::TOGETHER * Own::APART + lane * Own::TOGETHER, Own::TOGETHER, own + i);
#pragma unroll
      for (int first = 0; first < TILE; first += 4) {
        if (first >= rows) break;
        float four[4];
        load<float, 4, true>(weights[k] + first, 4, four);
#pragma unroll
        for (int row = 0; row < 4; row++)
#pragma unroll
          for (int i = 0; i < Own::COUNT; i++) sums[first + row][i] += four[row] * own[i];
      }
    }
  });

  __syncthreads();  // the sums go where the rings were
  float *all_sums = reinterpret_cast<float *>(shared);
#pragma unroll
  for (int i = 0; i < HALF; i++) {
#pragma unroll
    for (int bit = 8; bit; bit /= 2) total[i] += __shfl_xor_sync(WHOLE_WARP, total[i], bit);
    if (token == 0) tops[warp][2 * i + odd] = top[i];
    if (token == 0) totals[warp][2 * i + odd] = total[i];
  }
#pragma unroll
  for (int row = 0; row < TILE; row++)
#pragma unroll
    for (int i = 0; i < Own::COUNT; i++)
      all_sums[(warp * TILE + row) * (D + 4) + i / Own::TOGETHER * Own::APART +
               lane * Own::TOGETHER + i % Own::TOGETHER] = sums[row][i];
  __syncthreads();
  work.results.template write<D, Shape::WARPS>(work.tile, work.head.head, work.group, tops,
                                               totals, all_sums);
}
