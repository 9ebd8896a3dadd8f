// Products with a quantized matrix, x w^T + bias, the matrix being read as it is stored.
//
// x is rounded to whole numbers, 32 columns of a row at a time. A row of the matrix is cut into 8
// parts, each summed block by block, and the sums of the parts are added in order: so a row of x
// gives the same numbers in both kernels, whatever rows come with it.
#include "quantized_blocks.cuh"

// For few rows of x: a block of threads takes 16 rows of the matrix, a warp a part of them, and
// rounds what it needs of x itself.
template <int SIZE>
__global__ void __launch_bounds__(32 * PARTS, 2)
    multiply_few(const float *__restrict__ x, const uint8_t *__restrict__ blocks,
                 const float *__restrict__ row_scales, const float *__restrict__ bias,
                 float *__restrict__ out, int count, int columns, int groups, int outputs) {
  alignas(16) __shared__ int8_t numbers[PARTS][WITH_THEM][STRIDE];
  __shared__ float factors[PARTS][TOGETHER][WITH_THEM], terms[PARTS][TOGETHER][WITH_THEM];
  __shared__ float found[PARTS][WITH_THEM][ROWS];
  const int part = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int first = blockIdx.y * WITH_THEM, rows = min(WITH_THEM, count - first);
  const int each = (groups + PARTS - 1) / PARTS;
  const int begin = part * each, end = min(begin + each, groups);
  blocks += (long long)blockIdx.x * groups * SIZE;
  x += (long long)first * columns;

  for (int row = rows; row < WITH_THEM; row++) {  // where there are no rows of x
#pragma unroll
    for (int j = 0; j < TOGETHER; j++) numbers[part][row][COLUMNS * j + lane] = 0;
    if (lane < TOGETHER) factors[part][lane][row] = terms[part][lane][row] = 0.f;
  }
  float sums[4] = {};
  for (int from = begin; from < end; from += TOGETHER) {
    Block<SIZE> own[TOGETHER];
#pragma unroll
    for (int j = 0; j < TOGETHER; j++)
      if (from + j < end) own[j].load(blocks + (long long)(from + j) * SIZE);
    for (int row = 0; row < rows; row++)
#pragma unroll
      for (int j = 0; j < TOGETHER; j++) {
        const int column = (from + j) * COLUMNS + lane;
        const bool is_inside = from + j < end && column < columns;
        const Rounded rounded(is_inside ? x[(long long)row * columns + column] : 0.f);
        numbers[part][row][COLUMNS * j + lane] = rounded.number;
        if (lane == 0) {
          factors[part][j][row] = rounded.factor;
          terms[part][j][row] = rounded.term;
        }
      }
    __syncwarp();
#pragma unroll
    for (int j = 0; j < TOGETHER; j++) {
      if (from + j >= end) break;
      const int8_t *row = numbers[part][g] + COLUMNS * j + 4 * t;
      const unsigned b[2] = {*reinterpret_cast<const unsigned *>(row),
                             *reinterpret_cast<const unsigned *>(row + 16)};
      own[j].add_products(sums, b, factors[part][j], terms[part][j]);
    }
    __syncwarp();
  }
#pragma unroll
  for (int i = 0; i < 4; i++) found[part][2 * t + i % 2][g + i / 2 * 8] = sums[i];
  __syncthreads();
  const int row = threadIdx.x / ROWS;
  const long long output = (long long)blockIdx.x * ROWS + threadIdx.x % ROWS;
  if (row >= rows || output >= outputs) return;
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < PARTS; i++) sum = __fadd_rn(sum, found[i][row][threadIdx.x % ROWS]);
  out[(first + row) * (long long)outputs + output] = finished(sum, row_scales, bias, output);
}

// Rounds x [count, columns] to numbers [padded, groups * 32], with factors and terms
// [groups, padded]; a warp takes a group of a row. Rows and columns beyond those of x are zeros.
__global__ void round_rows(const float *__restrict__ x, int8_t *__restrict__ numbers,
                           float *__restrict__ factors, float *__restrict__ terms, int count,
                           int columns, int groups, int padded) {
  const long long place = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  const int lane = threadIdx.x % 32, group = int(place % groups);
  const long long row = place / groups;
  if (row >= padded) return;
  const int column = group * COLUMNS + lane;
  const bool is_inside = row < count && column < columns;
  const Rounded rounded(is_inside ? x[row * columns + column] : 0.f);
  numbers[place * COLUMNS + lane] = rounded.number;
  if (lane == 0) {
    factors[(long long)group * padded + row] = rounded.factor;
    terms[(long long)group * padded + row] = rounded.term;
  }
}

constexpr int WARPS = 4, MANY = 64, SETS = MANY / WITH_THEM;  // of a block; MANY rows of x

// For many rows of x, as `round_rows` gives them: a warp takes 16 rows of the matrix.
template <int SIZE>
__global__ void __launch_bounds__(32 * WARPS)
    multiply_many(const int8_t *__restrict__ numbers, const float *__restrict__ factors,
                  const float *__restrict__ terms, const uint8_t *__restrict__ blocks,
                  const float *__restrict__ row_scales, const float *__restrict__ bias,
                  float *__restrict__ out, int count, int padded, int groups, int outputs) {
  alignas(16) __shared__ int8_t own_numbers[MANY][STRIDE];
  __shared__ float own_factors[TOGETHER][MANY], own_terms[TOGETHER][MANY];
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int tile = blockIdx.x * WARPS + threadIdx.x / 32;
  const bool has_rows = tile * ROWS < outputs;
  const long long first = (long long)blockIdx.y * MANY;
  const int each = (groups + PARTS - 1) / PARTS;
  numbers += first * groups * COLUMNS;
  blocks += (long long)tile * groups * SIZE;

  float totals[SETS][4] = {};
  for (int begin = 0; begin < groups; begin += each) {
    const int end = min(begin + each, groups);
    float sums[SETS][4] = {};
    for (int from = begin; from < end; from += TOGETHER) {
      Block<SIZE> own[TOGETHER];
#pragma unroll
      for (int j = 0; j < TOGETHER; j++)
        if (has_rows && from + j < end) own[j].load(blocks + (long long)(from + j) * SIZE);
      __syncthreads();
      constexpr int PIECES = COLUMNS * TOGETHER / 16;
      for (int i = threadIdx.x; i < MANY * PIECES; i += 32 * WARPS) {
        const int row = i / PIECES, piece = i % PIECES;
        if (from + piece / 2 >= end) continue;
        const int8_t *source = numbers + ((long long)row * groups + from) * COLUMNS + 16 * piece;
        *reinterpret_cast<uint4 *>(own_numbers[row] + 16 * piece) =
            *reinterpret_cast<const uint4 *>(source);
      }
      for (int i = threadIdx.x; i < MANY * TOGETHER; i += 32 * WARPS) {
        const int j = i / MANY, row = i % MANY;
        if (from + j >= end) continue;
        own_factors[j][row] = factors[(long long)(from + j) * padded + first + row];
        own_terms[j][row] = terms[(long long)(from + j) * padded + first + row];
      }
      __syncthreads();
      if (!has_rows) continue;
#pragma unroll
      for (int j = 0; j < TOGETHER; j++) {
        if (from + j >= end) break;
#pragma unroll
        for (int set = 0; set < SETS; set++) {
          const int8_t *row = own_numbers[WITH_THEM * set + g] + COLUMNS * j + 4 * t;
          const unsigned b[2] = {*reinterpret_cast<const unsigned *>(row),
                                 *reinterpret_cast<const unsigned *>(row + 16)};
          own[j].add_products(sums[set], b, own_factors[j] + WITH_THEM * set,
                              own_terms[j] + WITH_THEM * set);
        }
      }
    }
#pragma unroll
    for (int set = 0; set < SETS; set++)
#pragma unroll
      for (int i = 0; i < 4; i++) totals[set][i] = __fadd_rn(totals[set][i], sums[set][i]);
  }
#pragma unroll
  for (int set = 0; set < SETS; set++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const long long row = first + WITH_THEM * set + 2 * t + i % 2;
      const long long output = (long long)tile * ROWS + g + i / 2 * 8;
      if (row < count && output < outputs)
        out[row * outputs + output] = finished(totals[set][i], row_scales, bias, output);
    }
}
