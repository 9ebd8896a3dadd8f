// The blocks of a quantized matrix, 16 rows by 32 columns, and x rounded to whole numbers beside
// them. How a block lies in memory is said in tinynn/backend/reference/quantized.py.
//
// Its codes lie as tensor cores take them: a register of four columns of a row is four bytes of a
// block, so they go from memory into a product as they are.
#pragma once
#include "tensor_cores.cuh"

constexpr int ROWS = 16, COLUMNS = 32;  // of a block
constexpr int PARTS = 8;                // of a row of the matrix, whose sums are added in order
constexpr int TOGETHER = 4;             // blocks that a warp reads before it multiplies
constexpr int WITH_THEM = 8;            // rows of x in a product
constexpr int STRIDE = COLUMNS * TOGETHER + 16;  // bytes of a row of x in shared memory, so that
                                                 // the lanes of a warp read from different banks

template <int SIZE>
struct Form {
  static constexpr int BITS = SIZE >= 512 ? 8 : 4;
  static constexpr int HALVES = (SIZE - 64 * BITS) / 32;  // float16 of a row
  static constexpr bool HAS_OFFSETS = HALVES == 2;
};

// What a lane needs of a block: with g = lane / 4 and t = lane % 4, the rows g and g + 8.
template <int SIZE>
struct Block {
  using Own = Form<SIZE>;
  unsigned codes[Own::BITS / 2];
  __half scale[2], offset[2];

  __device__ __forceinline__ void load(const uint8_t *block) {
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const __half *halves = reinterpret_cast<const __half *>(block);
    const unsigned *quads = reinterpret_cast<const unsigned *>(block + 32 * Own::HALVES);
#pragma unroll
    for (int i = 0; i < Own::BITS / 2; i++)
      codes[i] = __ldg(quads + (i / 2 * 4 + t) * ROWS + g + i % 2 * 8);
#pragma unroll
    for (int i = 0; i < 2; i++) {
      if (Own::HALVES > 0) scale[i] = halves[g + 8 * i];
      if (Own::HAS_OFFSETS) offset[i] = halves[ROWS + g + 8 * i];
    }
  }

  // The left operand of a product: codes with a sign, where there are no offsets.
  __device__ __forceinline__ void operand(unsigned (&a)[4]) const {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (Own::BITS == 8) {
        a[i] = codes[i % (Own::BITS / 2)] ^ 0x80808080u;
        continue;
      }
      const unsigned own = codes[i % 2] >> (i < 2 ? 0 : 4) & 0x0f0f0f0fu;
      // code - 8 in each byte, without borrowing from the next
      a[i] = Own::HAS_OFFSETS ? own : ((own | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
    }
  }

  // sums[i] += the products with 8 rows of x, as C of a product lies. b: its right operand, from
  // whole numbers; factors, terms: of each row of x, its scale, and that times their sum.
  // Each product is rounded as it is written here, so that any kernel gives the same numbers.
  __device__ __forceinline__ void add_products(float *sums, const unsigned *b,
                                               const float *factors, const float *terms) const {
    unsigned a[4];
    operand(a);
    int found[4] = {};
    multiply_16x8x32(found, a, b);
    const int t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float factor = factors[2 * t + i % 2];
      const float own = Own::HALVES ? __fmul_rn(__half2float(scale[i / 2]), factor) : factor;
      sums[i] = __fmaf_rn(float(found[i]), own, sums[i]);
      if (Own::HAS_OFFSETS)
        sums[i] = __fmaf_rn(__half2float(offset[i / 2]), terms[2 * t + i % 2], sums[i]);
    }
  }
};

// 32 numbers of x, one of each lane, as whole numbers times a factor.
struct Rounded {
  int8_t number;
  float factor, term;  // the factor, and it times the sum of the numbers

  __device__ __forceinline__ explicit Rounded(float x) {
    // The largest size, as bits: so NaN, which has the largest, is not passed over.
    unsigned size = __float_as_uint(x) & 0x7fffffffu;
#pragma unroll
    for (int bit = 16; bit; bit /= 2) size = max(size, __shfl_xor_sync(WHOLE_WARP, size, bit));
    const float largest = __uint_as_float(size);
    const bool is_zero = largest < 7.888609052210118e-31f;  // 2^-100
    const float scaled = is_zero ? 0.f : rintf(__fmul_rn(x, 127.f / largest));
    number = int8_t(fminf(fmaxf(scaled, -127.f), 127.f));
    // NaN where x is NaN or infinite: then the whole numbers mean nothing.
    factor = is_zero ? 0.f : largest / 127.f + (largest - largest);
    int total = number;
#pragma unroll
    for (int bit = 16; bit; bit /= 2) total += __shfl_xor_sync(WHOLE_WARP, total, bit);
    term = __fmul_rn(factor, float(total));
  }
};

// What becomes of a sum: the scale of its row, where a block has none, and the bias.
__device__ __forceinline__ float finished(float sum, const float *row_scales, const float *bias,
                                          long long output) {
  if (row_scales) sum = __fmul_rn(sum, row_scales[output]);
  return bias ? __fadd_rn(sum, bias[output]) : sum;
}
