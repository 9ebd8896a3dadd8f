// Layer and RMS normalization of rows. RMS normalization is layer normalization with a mean of 0
// and without a bias: where `mean` is null, the kernels are that.
//
// A row is read from memory once; the second and third time it comes from the cache.
#include "columns.cuh"
#include "rows.cuh"

template <class T, int WARPS, bool whole>
__global__ void normalize(const T *x, const T *weight, const T *bias,
                          typename Number<T>::Wide *mean, typename Number<T>::Wide *rstd, T *out,
                          long long rows, int columns, double eps) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  using Own = Row<WARPS>;
  const long long row = Own::number();
  if (row >= rows) return;
  x += row * columns;
  out += row * columns;

  Wide centre = 0;
  if (mean) {
    Wide total = 0;
    Own::template each_group<N>(columns, [&](int column, int size) {
      Wide values[N] = {};
      load<T, N, whole>(x + column, size, values);
#pragma unroll
      for (int i = 0; i < N; i++) total += values[i];
    });
    centre = Own::sum(total) / columns;
  }
  Wide square = 0;
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide values[N] = {};
    load<T, N, whole>(x + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++)
      if (whole || i < size) square += (values[i] - centre) * (values[i] - centre);
  });
  const Wide scale = 1 / sqrt(Own::sum(square) / columns + Wide(eps));
  if (Own::thread() == 0) {
    if (mean) mean[row] = centre;
    rstd[row] = scale;
  }
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide values[N] = {}, weights[N] = {}, biases[N] = {};
    load<T, N, whole>(x + column, size, values);
    if (weight) load<T, N, whole>(weight + column, size, weights);
    if (bias) load<T, N, whole>(bias + column, size, biases);
#pragma unroll
    for (int i = 0; i < N; i++) {
      values[i] = (values[i] - centre) * scale;
      if (weight) values[i] *= weights[i];
      if (bias) values[i] += biases[i];
    }
    store<T, N, whole>(out + column, size, values);
  });
}

// The gradient of x: scale (s - mean(s) - n mean(s n)), with s = g weight and n the normalized row.
template <class T, int WARPS, bool whole>
__global__ void normalize_backward(const T *g, const T *x, const T *weight,
                                   const typename Number<T>::Wide *mean,
                                   const typename Number<T>::Wide *rstd, T *gradient,
                                   long long rows, int columns) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  using Own = Row<WARPS>;
  const long long row = Own::number();
  if (row >= rows) return;
  g += row * columns;
  x += row * columns;
  gradient += row * columns;
  const Wide centre = mean ? mean[row] : 0, scale = rstd[row];

  // scaled and normalized numbers of a group; both 0 beyond the row
  auto group = [&](int column, int size, Wide *scaled, Wide *normalized) {
    Wide weights[N] = {};
    load<T, N, whole>(g + column, size, scaled);
    load<T, N, whole>(x + column, size, normalized);
    if (weight) load<T, N, whole>(weight + column, size, weights);
#pragma unroll
    for (int i = 0; i < N; i++) {
      if (weight) scaled[i] *= weights[i];
      normalized[i] = whole || i < size ? (normalized[i] - centre) * scale : 0;
    }
  };
  Wide sum = 0, product = 0;
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide scaled[N] = {}, normalized[N] = {};
    group(column, size, scaled, normalized);
#pragma unroll
    for (int i = 0; i < N; i++) {
      sum += scaled[i];
      product += scaled[i] * normalized[i];
    }
  });
  const Wide average = mean ? Own::sum(sum) / columns : 0;
  const Wide correlation = Own::sum(product) / columns;
  Own::template each_group<N>(columns, [&](int column, int size) {
    Wide scaled[N] = {}, normalized[N] = {};
    group(column, size, scaled, normalized);
#pragma unroll
    for (int i = 0; i < N; i++)
      scaled[i] = scale * (scaled[i] - average - normalized[i] * correlation);
    store<T, N, whole>(gradient + column, size, scaled);
  });
}

// The gradients of weight and bias: the sums of g n and of g over the rows, [parts][2][columns].
template <class T>
__global__ void normalize_backward_columns(const T *g, const T *x,
                                           const typename Number<T>::Wide *mean,
                                           const typename Number<T>::Wide *rstd,
                                           typename Number<T>::Wide *sums, long long rows,
                                           int columns) {
  using Wide = typename Number<T>::Wide;
  sum_of_rows<2>(rows, columns, sums, [&](long long row, int column, Wide *own) {
    const Wide gradient = Number<T>::widen(g[row * columns + column]);
    const Wide centred = Number<T>::widen(x[row * columns + column]) - (mean ? mean[row] : 0);
    own[0] = gradient * (centred * rstd[row]);
    own[1] = gradient;
  });
}
