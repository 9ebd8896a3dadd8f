// Attention of new tokens to a cache of 16 or 8 bits in blocks, on tensor cores: every key and
// value is read from memory once for all heads of its group. paged.cuh says how they are gone
// through.
//
// A warp multiplies the 16 queries of the tile by the 16 keys of a strip, and the powers of their
// scores by the strip's values. At 128 numbers a head that is 64 instructions of tensor cores for
// 8 KB, which an H200 needs 380 cycles of a multiprocessor to read and some 60 to multiply: rows
// that a small group leaves empty cost nothing.

#include "decoding.cuh"
#include "tensor_cores.cuh"

// What a cache is multiplied in, and how it gets there. A register of a matrix from shared memory
// holds two numbers of 16 bits, or four of 8.
template <class Cache>
struct Operand {
  using Type = Cache;
  static constexpr int STEPS = 1;  // of 16 numbers, in the 32 bytes that are loaded at once
  // A key's row as `load_8x8_x4` gives it.
  static __device__ __forceinline__ void key(unsigned *b, const unsigned *matrices, int) {
    b[0] = matrices[0];
    b[1] = matrices[1];
  }
  // Values' columns as `load_8x8_x4_transposed` gives them for 16 strip rows and 16 bytes.
  static __device__ __forceinline__ void value(unsigned *b, const unsigned *matrices, int) {
    b[0] = matrices[0];
    b[1] = matrices[1];
  }
  // The column of the values that is c[e] of a lane (t = lane % 4) in product n.
  static __device__ __forceinline__ int column(int n, int t, int e) { return 8 * n + 2 * t + e; }
};
// Whole numbers from -127 to 127 are exact in float16. Four neighbours come in one register, so
// keys are multiplied with their numbers in another order, the queries' too; and the two bytes
// that the transposition moves together belong to two products, of the even and the odd columns.
template <>
struct Operand<int8_t> {
  using Type = __half;
  static constexpr int STEPS = 2;
  // x + 128 as the lowest bits of the float16 1024 + x + 128, of two bytes.
  template <int FIRST, int SECOND>
  static __device__ __forceinline__ unsigned widened(unsigned bytes) {
    const unsigned biased =
        __byte_perm(bytes ^ 0x80808080u, 0x64646464u, 0x4040 | FIRST | SECOND << 8);
    const __half2 two = __halves2half2(__ushort_as_half((unsigned short)(biased & 0xffff)),
                                       __ushort_as_half((unsigned short)(biased >> 16)));
    const __half2 result = __hsub2(two, __half2half2(__ushort_as_half(0x6480)));
    return pack(result.x, result.y);
  }
  static __device__ __forceinline__ void key(unsigned *b, const unsigned *matrices, int step) {
    b[0] = widened<0, 1>(matrices[step]);
    b[1] = widened<2, 3>(matrices[step]);
  }
  static __device__ __forceinline__ void value(unsigned *b, const unsigned *matrices, int odd) {
#pragma unroll
    for (int i = 0; i < 2; i++)
      b[i] = odd ? widened<1, 3>(matrices[i]) : widened<0, 2>(matrices[i]);
  }
  static __device__ __forceinline__ int column(int n, int t, int e) {
    return 16 * (n / 2) + 4 * t + 2 * e + n % 2;
  }
};

// Into how many numbers of 16 bits a query, and a power, is split: float32 into two, the second
// what the first leaves, for the last digits of a float32 result.
template <class T, class M>
struct Parts {
  static constexpr bool EXACT =
      Same<T, M>::value || (Same<T, __nv_bfloat16>::value && Same<M, __half>::value);
  static constexpr int COUNT = EXACT ? 1 : 2;
};

template <class M, int PARTS>
__device__ __forceinline__ void split_number(float x, M *parts) {
  parts[0] = Number<M>::narrow(x);
  if (PARTS == 2) parts[PARTS - 1] = Number<M>::narrow(x - Number<M>::widen(parts[0]));
}

// The tile's queries as the left matrices, [PARTS][TILE][D + 8]. Each row is divided by a power of
// two, which `factors` keeps, so that its largest number is between 1 and 2: queries of bfloat16
// and float32 may be beyond the range of float16.
template <int D, int PARTS, class T, class Cache, class M>
__device__ __forceinline__ void stage_queries(const Work<T, Cache> &work, M *staged,
                                              float *factors) {
  constexpr int LANES = Ring<Cache, D>::WARPS * 32 / TILE;  // of a row
  const int row = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const T *own = work.query + work.place(row);
  float numbers[D / LANES], largest = 0.f;
#pragma unroll
  for (int i = 0; i < D / LANES; i++) {
    const int column = i * LANES + lane;
    const bool real = row < work.rows && column < work.results.head_dim;
    numbers[i] = real ? Number<T>::widen(own[column]) : 0.f;
    largest = fmaxf(largest, fabsf(numbers[i]));
  }
#pragma unroll
  for (int bit = LANES / 2; bit; bit /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(WHOLE_WARP, largest, bit));
  const int exponent = min(max(int(__float_as_uint(largest) >> 23), 1), 253);
  const float shrink = __uint_as_float(unsigned(254 - exponent) << 23);
  if (lane == 0) factors[row] = __uint_as_float(unsigned(exponent) << 23);
#pragma unroll
  for (int i = 0; i < D / LANES; i++) {
    const int column = i * LANES + lane;
    M parts[PARTS];
    split_number<M, PARTS>(numbers[i] * shrink, parts);
    // Which number of the product this one is: see Operand<int8_t>.
    const int within = column % 16;
    int target = column;
    if (Operand<Cache>::STEPS == 2)
      target += within / 4 * 2 + within / 2 % 2 * 8 + within % 2 - within;
#pragma unroll
    for (int part = 0; part < PARTS; part++)
      staged[(part * TILE + row) * (D + 8) + target] = parts[part];
  }
}

// Without the 2, the compiler saves registers for more blocks than shared memory has room for.
template <class T, class Cache, int D>
__global__ void __launch_bounds__(Ring<Cache, D>::WARPS * 32, 2) decode_16_bit(
    const T *__restrict__ query, const int *__restrict__ starts, const Cache *__restrict__ keys,
    const Cache *__restrict__ values, const float *__restrict__ key_scales,
    const float *__restrict__ value_scales, const int *__restrict__ tables,
    const int *__restrict__ lengths, T *__restrict__ out, float *__restrict__ part,
    float *__restrict__ lse, int tokens, int heads, int kv_heads, int head_dim, int sequences,
    int table_width, int block_bits, int window, int sinks, int fixed, float scale) {
  using Shape = Ring<Cache, D>;
  using Right = Operand<Cache>;
  using M = typename Right::Type;
  constexpr int PARTS = Parts<T, M>::COUNT, STEPS = D / 16, PRODUCTS = D / 8;
  constexpr bool KEPT = STEPS * PARTS <= 8;  // the queries in registers; else in shared memory
  __shared__ float tops[Shape::WARPS][TILE], totals[Shape::WARPS][TILE], factors[TILE];
  const Arguments<T, Cache> given = {
      query, starts, keys, values, key_scales, value_scales, tables, lengths,
      out, part, lse, tokens, heads, kv_heads, head_dim, sequences,
      table_width, block_bits, window, sinks, fixed, scale};
  Work<T, Cache> work;
  if (!work.find(given)) return;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  DYNAMIC_SHARED(unsigned char, shared);
  unsigned char *ring = shared + warp * Shape::WARP;
  if (head_dim < D) clear_ring<Cache, D>(ring);

  M *staged = reinterpret_cast<M *>(shared + Shape::BYTES);
  stage_queries<D, PARTS>(work, staged, factors);
  __syncthreads();
  const int g = lane / 4, t = lane % 4;
  const Row seen[2] = {{work, g, window}, {work, g + 8, window}};
  const float factor[2] = {factors[g] * work.scale, factors[g + 8] * work.scale};
  // Which row and which 16 bytes of a matrix in shared memory a lane points at.
  const M *left = staged + lane % 16 * (D + 8) + lane / 16 * 8;
  const int key_place = (lane / 16 * 8 + lane % 8) * Shape::PITCH + lane / 8 % 2 * 16;
  const int value_place = Shape::VALUES + lane % 16 * Shape::PITCH + lane / 16 * 16;
  unsigned kept[KEPT ? STEPS * PARTS : 1][4];
  if (KEPT)
#pragma unroll
    for (int i = 0; i < STEPS * PARTS; i++)
      load_8x8_x4(kept[KEPT ? i : 0], left + i / STEPS * TILE * (D + 8) + i % STEPS * 16);

  float top[2] = {-infinity(), -infinity()}, total[2] = {}, sums[PRODUCTS][4] = {};
  float unit = 0x1p-100f;  // of the sums, a power of two: at least the largest scale so far

  for_each_strip<D>(work.head, work.strips, ring, [&](const unsigned char *stage, int strip) {
    float scores[2][4] = {};
#pragma unroll
    for (int load = 0; load < STEPS / Right::STEPS; load++) {
      unsigned matrices[4];
      load_8x8_x4(matrices, stage + key_place + load * 32);
#pragma unroll
      for (int i = 0; i < Right::STEPS; i++) {
        const int step = load * Right::STEPS + i;
        unsigned b[2][2];
        Right::key(b[0], matrices, i);
        Right::key(b[1], matrices + 2, i);
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
          unsigned loaded[4];
          if (!KEPT) load_8x8_x4(loaded, left + part * TILE * (D + 8) + step * 16);
          const unsigned *a = KEPT ? kept[KEPT ? part * STEPS + step : 0] : loaded;
          multiply_16x8x16<M>(scores[0], a, b[0]);
          multiply_16x8x16<M>(scores[1], a, b[1]);
        }
      }
    }

    // Scores to powers. A lane has two rows' scores for keys 2t, 2t + 1, 2t + 8 and 2t + 9.
    const float *key_scale = reinterpret_cast<const float *>(stage + Shape::SCALES);
    const float *value_scale = key_scale + STRIP;
    float shrink[2], largest_scale = 0.f;
    bool visible[2][4];
#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int within = 8 * n + 2 * t + i % 2;
        float score = scores[n][i] * factor[i / 2];
        if (Shape::SCALED) score *= key_scale[within];
        visible[n][i] = seen[i / 2].sees(strip * STRIP + within, sinks);
        scores[n][i] = visible[n][i] ? score : -infinity();
        if (Shape::SCALED && visible[n][i])
          largest_scale = fmaxf(largest_scale, value_scale[within]);
      }
#pragma unroll
    for (int row = 0; row < 2; row++) {
      float highest = fmaxf(fmaxf(scores[0][2 * row], scores[0][2 * row + 1]),
                            fmaxf(scores[1][2 * row], scores[1][2 * row + 1]));
      highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(WHOLE_WARP, highest, 2));
      highest = fmaxf(highest, top[row]);
      const float base = highest == -infinity() ? 0.f : highest;
      shrink[row] = exp2_approximate(top[row] - base);
      top[row] = highest;
      total[row] *= shrink[row];
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 2 * row; i < 2 * row + 2; i++) {
          scores[n][i] = exp2_approximate(scores[n][i] - base);
          total[row] += scores[n][i];
        }
    }
    // Weights are powers times the scales of their values, in units of the largest scale.
    if (Shape::SCALED) {
#pragma unroll
      for (int bit = 1; bit < 32; bit *= 2)
        largest_scale = fmaxf(largest_scale, __shfl_xor_sync(WHOLE_WARP, largest_scale, bit));
      const float up = __uint_as_float((__float_as_uint(largest_scale) + 0x7fffffu) & 0x7f800000u);
      const float next = fmaxf(unit, up), inverse = 1.f / next;
      shrink[0] *= unit * inverse;
      shrink[1] *= unit * inverse;
      unit = next;
#pragma unroll
      for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float own = value_scale[8 * n + 2 * t + i % 2] * inverse;
          scores[n][i] = visible[n][i] ? scores[n][i] * own : 0.f;
        }
    }

    // The weights as left matrices: a lane holds of them what it held of the scores.
    unsigned weights[PARTS][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      M first[PARTS], second[PARTS];
      split_number<M, PARTS>(scores[i / 2][i % 2 * 2], first);
      split_number<M, PARTS>(scores[i / 2][i % 2 * 2 + 1], second);
#pragma unroll
      for (int part = 0; part < PARTS; part++) weights[part][i] = pack(first[part], second[part]);
    }
#pragma unroll
    for (int i = 0; i < PRODUCTS; i++)
#pragma unroll
      for (int e = 0; e < 4; e++) sums[i][e] *= shrink[e / 2];
#pragma unroll
    for (int load = 0; load < STEPS / Right::STEPS; load++) {
      unsigned matrices[4];
      load_8x8_x4_transposed(matrices, stage + value_place + load * 32);
#pragma unroll
      for (int i = 0; i < 2 * Right::STEPS; i++) {
        unsigned b[2];
        Right::value(b, matrices + i / Right::STEPS * 2, i % Right::STEPS);
#pragma unroll
        for (int part = 0; part < PARTS; part++)
          multiply_16x8x16<M>(sums[load * 2 * Right::STEPS + i], weights[part], b);
      }
    }
  });

  __syncthreads();  // the sums go where the rings were
  float *all_sums = reinterpret_cast<float *>(shared);
#pragma unroll
  for (int row = 0; row < 2; row++) {
    total[row] += __shfl_xor_sync(WHOLE_WARP, total[row], 1);
    total[row] += __shfl_xor_sync(WHOLE_WARP, total[row], 2);
    float *own = all_sums + (warp * TILE + g + 8 * row) * (D + 4);
#pragma unroll
    for (int i = 0; i < PRODUCTS; i++)
#pragma unroll
      for (int e = 0; e < 2; e++)
        own[Right::column(i, t, e)] = sums[i][2 * row + e] * (Shape::SCALED ? unit : 1.f);
    if (t == 0) tops[warp][g + 8 * row] = top[row];
    if (t == 0) totals[warp][g + 8 * row] = total[row];
  }
  __syncthreads();
  work.results.template write<D, Shape::WARPS>(work.tile, work.head.head, work.group, tops,
                                               totals, all_sums);
}
