// The gate of a feed-forward block: out = activation(gate) * up, a row of x [rows, 2 columns] being
// the gate and behind it what it lets through. Where whole is true, columns is a multiple of
// GROUP<T> and both addresses are aligned.
#include "activations.cuh"

template <class T, bool whole>
__global__ void gate(const T *__restrict__ x, T *__restrict__ out, long long rows, int columns,
                     int activation) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  const int groups = (columns + N - 1) / N;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < rows * groups;
       i += stride) {
    const int column = i % groups * N, size = min(N, columns - column);
    const T *row = x + i / groups * 2 * columns + column;
    Wide gates[N] = {}, ups[N] = {};
    load<T, N, whole>(row, size, gates);
    load<T, N, whole>(row + columns, size, ups);
#pragma unroll
    for (int k = 0; k < N; k++) ups[k] *= activate(activation, gates[k], Wide(0));
    store<T, N, whole>(out + i / groups * columns + column, size, ups);
  }
}
