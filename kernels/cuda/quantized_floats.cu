// Products of x as it is, in float32, with a quantized matrix; and rows of such a matrix.
#include "quantized_blocks.cuh"

// The number of a code, of the row that has these halves: the scale, and the offset behind it.
template <int SIZE>
__device__ __forceinline__ float number_of(int code, float scale, float offset) {
  using Own = Form<SIZE>;
  if (Own::HAS_OFFSETS) return __fmaf_rn(scale, float(code), offset);
  return scale * float(code - (Own::BITS == 8 ? 128 : 8));
}

// Scale and offset of a row of a block; 1 and 0 where it has none.
template <int SIZE>
__device__ __forceinline__ float2 halves_of(const uint8_t *block, int row) {
  const __half *halves = reinterpret_cast<const __half *>(block) + row;
  return make_float2(Form<SIZE>::HALVES ? __half2float(halves[0]) : 1.f,
                     Form<SIZE>::HAS_OFFSETS ? __half2float(halves[ROWS]) : 0.f);
}

// A block of threads takes 16 rows of the matrix, a warp a part of them, a lane half of a block's
// row. Eight rows of x at a time.
template <int SIZE>
__global__ void __launch_bounds__(32 * PARTS)
    multiply_floats(const float *__restrict__ x, const uint8_t *__restrict__ blocks,
                    const float *__restrict__ row_scales, const float *__restrict__ bias,
                    float *__restrict__ out, int count, int columns, int groups, int outputs) {
  constexpr int BITS = Form<SIZE>::BITS;
  alignas(16) __shared__ float numbers[PARTS][WITH_THEM][COLUMNS];
  __shared__ float found[PARTS][WITH_THEM][ROWS];
  const int part = threadIdx.x / 32, lane = threadIdx.x % 32, own_row = lane % ROWS;
  const int half = lane / ROWS;
  const int first = blockIdx.y * WITH_THEM, rows = min(WITH_THEM, count - first);
  const int each = (groups + PARTS - 1) / PARTS;
  const int begin = part * each, end = min(begin + each, groups);
  blocks += (long long)blockIdx.x * groups * SIZE;
  x += (long long)first * columns;

  float sums[WITH_THEM] = {};
  for (int group = begin; group < end; group++) {
    const uint8_t *block = blocks + (long long)group * SIZE;
    const unsigned *quads = reinterpret_cast<const unsigned *>(block + 32 * Form<SIZE>::HALVES);
    const float2 halves = halves_of<SIZE>(block, own_row);
    // Four columns at a time: those from 16 half on; or of codes of 4 bits, those from 8 half on,
    // and 16 behind each.
    float weights[4][4];
#pragma unroll
    for (int q = 0; q < 4; q++) {
      const int quad = BITS == 8 ? 4 * half + q : 2 * half + q % 2;
      unsigned codes = __ldg(quads + quad * ROWS + own_row);
      if (BITS == 4) codes = codes >> (q < 2 ? 0 : 4) & 0x0f0f0f0fu;
#pragma unroll
      for (int k = 0; k < 4; k++)
        weights[q][k] = number_of<SIZE>(codes >> (8 * k) & 255, halves.x, halves.y);
    }
    const int column = group * COLUMNS + lane;
    for (int row = 0; row < rows; row++)
      numbers[part][row][lane] = column < columns ? x[(long long)row * columns + column] : 0.f;
    __syncwarp();
#pragma unroll
    for (int row = 0; row < WITH_THEM; row++) {
      if (row >= rows) break;
#pragma unroll
      for (int q = 0; q < 4; q++) {
        const int place = BITS == 8 ? 16 * half + 4 * q : 8 * half + 4 * (q % 2) + 16 * (q / 2);
        const float4 four = *reinterpret_cast<const float4 *>(numbers[part][row] + place);
        sums[row] += weights[q][0] * four.x + weights[q][1] * four.y;
        sums[row] += weights[q][2] * four.z + weights[q][3] * four.w;
      }
    }
    __syncwarp();
  }
#pragma unroll
  for (int row = 0; row < WITH_THEM; row++) {
    const float sum = sums[row] + __shfl_xor_sync(WHOLE_WARP, sums[row], ROWS);
    if (half == 0) found[part][row][own_row] = sum;
  }
  __syncthreads();
  const int row = threadIdx.x / ROWS;
  const long long output = (long long)blockIdx.x * ROWS + threadIdx.x % ROWS;
  if (row >= rows || output >= outputs) return;
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < PARTS; i++) sum += found[i][row][threadIdx.x % ROWS];
  out[(first + row) * (long long)outputs + output] = finished(sum, row_scales, bias, output);
}

// bad[0] = a place of an id that is not one of `outputs` rows, the first, or -1. One block.
__global__ void look_at_ids(const long long *ids, long long count, long long outputs,
                            long long *bad) {
  __shared__ unsigned long long first_bad;
  if (threadIdx.x == 0) first_bad = ~0ull;
  __syncthreads();
  for (long long i = threadIdx.x; i < count; i += blockDim.x)
    if (ids[i] < 0 || ids[i] >= outputs) atomicMin(&first_bad, (unsigned long long)i);
  __syncthreads();
  if (threadIdx.x == 0) *bad = (long long)first_bad;
}

// out[i] = the row ids[i] of the matrix, a number by each thread; zeros for an id that is none.
template <int SIZE>
__global__ void take_rows(const long long *__restrict__ ids, const uint8_t *__restrict__ blocks,
                          const float *__restrict__ row_scales, float *__restrict__ out,
                          long long count, int columns, int groups, long long outputs) {
  constexpr int BITS = Form<SIZE>::BITS;
  const long long place = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (place >= count * columns) return;
  const long long id = ids[place / columns];
  if (id < 0 || id >= outputs) {
    out[place] = 0.f;
    return;
  }
  const int column = int(place % columns), row = int(id % ROWS), inside = column % COLUMNS;
  const uint8_t *block = blocks + (id / ROWS * groups + column / COLUMNS) * SIZE;
  const int own = BITS == 8 ? inside : inside % 16;
  int code = block[32 * Form<SIZE>::HALVES + (own / 4 * ROWS + row) * 4 + own % 4];
  if (BITS == 4) code = inside < 16 ? code & 15 : code >> 4;
  const float2 halves = halves_of<SIZE>(block, row);
  const float number = number_of<SIZE>(code, halves.x, halves.y);
  out[place] = row_scales ? number * row_scales[id] : number;
}
