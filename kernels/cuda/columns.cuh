// Sums over the rows of a matrix, for gradients of what is added or multiplied to each row.
//
// A block takes 32 columns and a part of the rows, a warp a row at a time, a lane a column; so the
// reads of a warp are neighbours. Sums of the parts are added by a second kernel, in their order:
// the result does not depend on who came first.
#pragma once
#include "numbers.cuh"

constexpr int COLUMNS_OF_BLOCK = 32, ROWS_AT_ONCE = 8;  // a block has 256 threads

// sums[part][COUNT][columns] of values(row, column, own), which sets own[0 : COUNT].
template <int COUNT, class Wide, class Values>
__device__ __forceinline__ void sum_of_rows(long long rows, int columns, Wide *sums,
                                            Values values) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int column = blockIdx.x * COLUMNS_OF_BLOCK + lane;
  const long long each = (rows + gridDim.y - 1) / gridDim.y;
  const long long first = blockIdx.y * each, last = min(first + each, rows);
  Wide total[COUNT] = {};
  if (column < columns)
    for (long long row = first + warp; row < last; row += ROWS_AT_ONCE) {
      Wide own[COUNT];
      values(row, column, own);
#pragma unroll
      for (int i = 0; i < COUNT; i++) total[i] += own[i];
    }
  __shared__ Wide of_warp[COUNT][ROWS_AT_ONCE][COLUMNS_OF_BLOCK];
#pragma unroll
  for (int i = 0; i < COUNT; i++) of_warp[i][warp][lane] = total[i];
  __syncthreads();
  if (warp < COUNT && column < columns) {
    Wide sum = 0;
#pragma unroll
    for (int row = 0; row < ROWS_AT_ONCE; row++) sum += of_warp[warp][row][lane];
    sums[((long long)blockIdx.y * COUNT + warp) * columns + column] = sum;
  }
}

// out[i] = the sum of sums[part][i] over the parts, rounded to T.
template <class T, class Wide>
__global__ void add_parts(const Wide *sums, T *out, int parts, long long size) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  Wide total = 0;
  for (int part = 0; part < parts; part++) total += sums[part * size + i];
  out[i] = Number<T>::narrow(total);
}
