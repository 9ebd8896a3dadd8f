// Softmax of rows, and its gradient. A row is read from memory once; later it comes from the cache.
#include "rows.cuh"

template <class T, int WARPS, bool whole>
__global__ void softmax(const T *x, T *out, long long rows, int columns) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  using Own = Row<WARPS>;
  const long long row = Own::number();
  if (row >= rows) return;
  x += row * columns;
  out += row * columns;

  // NaN is lost here, and comes back as the power of NaN - top.
  Wide top = -Wide(infinity());
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide values[N] = {};
    load<T, N, whole>(x + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++)
      if ((whole || i < size) && values[i] > top) top = values[i];
  });
  top = Own::maximum(top);
  Wide total = 0;
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide values[N] = {};
    load<T, N, whole>(x + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++)
      if (whole || i < size) total += exp(values[i] - top);
  });
  const Wide scale = 1 / Own::sum(total);
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide values[N] = {};
    load<T, N, whole>(x + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++) values[i] = exp(values[i] - top) * scale;
    store<T, N, whole>(out + column, size, values);
  });
}

// The gradient of x, y (g - sum(g y)).
template <class T, int WARPS, bool whole>
__global__ void softmax_backward(const T *g, const T *y, T *out, long long rows, int columns) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  using Own = Row<WARPS>;
  const long long row = Own::number();
  if (row >= rows) return;
  g += row * columns;
  y += row * columns;
  out += row * columns;

  Wide product = 0;
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide gradients[N] = {}, values[N] = {};
    load<T, N, whole>(g + column, size, gradients);
    load<T, N, whole>(y + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++) product += gradients[i] * values[i];
  });
  const Wide mean = Own::sum(product);
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide gradients[N] = {}, values[N] = {};
    load<T, N, whole>(g + column, size, gradients);
    load<T, N, whole>(y + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++) values[i] *= gradients[i] - mean;
    store<T, N, whole>(out + column, size, values);
  });
}
