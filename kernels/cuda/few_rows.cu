// Products of few rows of x with a matrix, x w^T + bias: what a language model does for a token.
//
// The time is that of reading the matrix. A warp takes some of its rows, a lane 16 bytes at a time,
// and multiplies them with all rows of x, which come from the cache.
#include "rows.cuh"

// Weight: what the matrix is kept in; T: what x and the result are. COUNT: the most rows of x; OWN: how
// many rows of the matrix a warp takes.
template <class Weight, class T, int COUNT, int OWN, bool whole>
__global__ void multiply_few_rows(const T *__restrict__ x, const Weight *__restrict__ weight,
                                  const T *__restrict__ bias, T *__restrict__ out, int count,
                                  int columns, int outputs) {
  constexpr int N = GROUP<Weight>;
  const long long warp = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  const int first = blockIdx.y * COUNT, lane = threadIdx.x % 32;
  const int rows = min(COUNT, count - first);
  const long long output = warp * OWN;
  if (output >= outputs) return;
  x += (long long)first * columns;

  float sums[COUNT][OWN] = {};
  for (int column = lane * N; column < columns; column += 32 * N) {
    const int size = min(N, columns - column);
    float weights[OWN][N] = {};
#pragma unroll
    for (int i = 0; i < OWN; i++)
      if (output + i < outputs)
        load<Weight, N, whole>(weight + (output + i) * columns + column, size, weights[i]);
#pragma unroll
    for (int row = 0; row < COUNT; row++) {
      // Where there are no more rows the last is read again, so that no read waits for a question.
      const T *own = x + (long long)min(row, rows - 1) * columns + column;
      float numbers[N] = {};
      constexpr int M = GROUP<T> < N ? GROUP<T> : N;
#pragma unroll
      for (int k = 0; k < N; k += M)
        load<T, M, whole>(own + k, size - k, numbers + k);
#pragma unroll
      for (int i = 0; i < OWN; i++)
#pragma unroll
        for (int k = 0; k < N; k++) sums[row][i] += weights[i][k] * numbers[k];
    }
  }
#pragma unroll
  for (int row = 0; row < COUNT; row++) {
    if (row >= rows) break;
#pragma unroll
    for (int i = 0; i < OWN; i++) {
      float sum = warp_sum(sums[row][i]);
      if (lane || output + i >= outputs) continue;
      if (bias) sum += Number<T>::widen(bias[output + i]);
      out[(long long)(first + row) * outputs + output + i] = Number<T>::narrow(sum);
    }
  }
}
