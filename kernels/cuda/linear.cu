// What follows the matrix product of a linear layer: bias and activation in one pass; and its
// gradient, with that of the bias.
#include "activations.cuh"
#include "columns.cuh"

// out = activation(product + bias), and pre = product + bias where it is not null; all [rows,
// columns]. The product may lie in out or be of a wider type. Where whole is true, columns is a
// multiple of GROUP<T> and all addresses are aligned.
template <class T, class Product, bool whole>
__global__ void finish(const Product *product, const T *bias, T *pre, T *out, long long rows,
                       int columns, int activation, double parameter) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  const int groups = (columns + N - 1) / N;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < rows * groups;
       i += stride) {
    const int column = i % groups * N, size = min(N, columns - column);
    const long long first = i / groups * columns + column;
    Wide values[N] = {}, biases[N] = {};
    load<Product, N, whole>(product + first, size, values);
    if (bias) load<T, N, whole>(bias + column, size, biases);
#pragma unroll
    for (int k = 0; k < N; k++) values[k] += biases[k];
    if (pre) store<T, N, whole>(pre + first, size, values);
#pragma unroll
    for (int k = 0; k < N; k++) values[k] = activate(activation, values[k], Wide(parameter));
    store<T, N, whole>(out + first, size, values);
  }
}

// The gradient before the activation, and its sums over rows, [parts][1][columns].
template <class T>
__global__ void finish_backward(const T *g, const T *saved, T *gradient,
                                typename Number<T>::Wide *sums, long long rows, int columns,
                                int activation, double parameter) {
  using Wide = typename Number<T>::Wide;
  sum_of_rows<1>(rows, columns, sums, [&](long long row, int column, Wide *own) {
    const long long place = row * columns + column;
    own[0] = activation_gradient(activation, Number<T>::widen(g[place]),
                                 Number<T>::widen(saved[place]), Wide(parameter));
    gradient[place] = Number<T>::narrow(own[0]);
  });
}
