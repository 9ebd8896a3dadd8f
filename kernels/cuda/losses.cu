// Softmax and cross-entropy in one, with the gradient: each row of logits is read once from memory.
//
// With p = softmax(x), w the weights (1 without them) and s the smoothing, the loss of a row is
// -(1 - s) w[label] log p[label] - s / classes * sum(w * log p).
#include "rows.cuh"

constexpr int ONE_BLOCK = 1024;

// Before: totals[0] is the weight of all targets that count, totals[1] that of all classes; bad the
// first place with a target that is no class, or -1. One block, which has ONE_BLOCK threads.
template <class T>
__global__ void look_at_targets(const long long *target, const T *weight, double *totals,
                                long long rows, int classes, long long ignore_index,
                                long long *bad) {
  using Own = Row<ONE_BLOCK / 32>;
  __shared__ unsigned long long first_bad;
  if (threadIdx.x == 0) first_bad = ~0ull;
  __syncthreads();
  double weights = 0, all_weights = 0;
  for (long long row = threadIdx.x; row < rows; row += ONE_BLOCK) {
    const long long label = target[row];
    if (label == ignore_index) continue;
    if (label < 0 || label >= classes)
      atomicMin(&first_bad, (unsigned long long)row);
    else
      weights += weight ? double(Number<T>::widen(weight[label])) : 1.;
  }
  for (int j = threadIdx.x; j < classes; j += ONE_BLOCK)
    all_weights += weight ? double(Number<T>::widen(weight[j])) : 1.;
  weights = Own::sum(weights);
  all_weights = Own::sum(all_weights);
  if (threadIdx.x == 0) {
    totals[0] = weights;
    totals[1] = all_weights;
    *bad = (long long)first_bad;
  }
}

// losses[row] in the precision of the computation; the gradient for a gradient of 1 of each loss,
// over totals[0] where mean is true. A row whose target is no class has a loss and gradients of 0.
template <class T, int WARPS, bool whole>
__global__ void loss_and_gradient(const T *logits, const long long *target, const T *weight,
                                  const double *totals, typename Number<T>::Wide *losses,
                                  T *gradient, long long rows, int classes, long long ignore_index,
                                  double smoothing, bool mean) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  using Own = Row<WARPS>;
  const long long row = Own::number();
  if (row >= rows) return;
  const T *x = logits + row * classes;
  gradient += row * classes;
  const long long label = target[row];
  if (label == ignore_index || label < 0 || label >= classes) {
    Own::template each_group<N>(classes, [&](int column, int size) {
      const Wide zeros[N] = {};
      store<T, N, whole>(gradient + column, size, zeros);
    });
    if (Own::thread() == 0) losses[row] = 0;
    return;
  }

  Wide top = -Wide(infinity());
  Own::template each_group<N>(classes, [&](int column, int size) {
    Wide values[N] = {};
    load<T, N, whole>(x + column, size, values);
#pragma unroll
    for (int i = 0; i < N; i++)
      if ((whole || i < size) && values[i] > top) top = values[i];
  });
  top = Own::maximum(top);
  Wide powers = 0, weighted = 0;  // the sums of e^(x - top), and of w (top - x)
  Own::template each_group<N>(classes, [&](int column, int size) {
    Wide values[N] = {}, weights[N] = {};
    load<T, N, whole>(x + column, size, values);
    if (weight) load<T, N, whole>(weight + column, size, weights);
#pragma unroll
    for (int i = 0; i < N; i++)
      if (whole || i < size) {
        powers += exp(values[i] - top);
        if (smoothing != 0) weighted += (weight ? weights[i] : Wide(1)) * (top - values[i]);
      }
  });
  powers = Own::sum(powers);
  if (smoothing != 0) weighted = Own::sum(weighted);

  const Wide on_label = (1 - smoothing) * (weight ? double(Number<T>::widen(weight[label])) : 1.);
  const Wide on_each = smoothing / classes;
  const Wide log_sum = log(powers), all_weights = totals[1];
  if (Own::thread() == 0) {
    Wide loss = on_label * (log_sum - (Number<T>::widen(x[label]) - top));
    if (smoothing != 0) loss += on_each * (all_weights * log_sum + weighted);
    losses[row] = loss;
  }
  const Wide scale = mean ? Wide(1 / totals[0]) : Wide(1);
  const Wide factor = scale * (on_label + on_each * all_weights) / powers;
  Own::template each_group<N>(classes, [&](int column, int size) {
    Wide values[N] = {}, weights[N] = {};
    load<T, N, whole>(x + column, size, values);
    if (weight) load<T, N, whole>(weight + column, size, weights);
#pragma unroll
    for (int i = 0; i < N; i++) {
      values[i] = factor * exp(values[i] - top) - scale * on_each * (weight ? weights[i] : Wide(1));
      if (column + i == label) values[i] -= scale * on_label;
    }
    store<T, N, whole>(gradient + column, size, values);
  });
}

// After: the sum of the losses, over totals[0] where mean is true (NaN where that is 0); or each
// loss where reduce is false. One block for the sum.
template <class T>
__global__ void reduce_losses(const typename Number<T>::Wide *losses, const double *totals, T *loss,
                              long long rows, bool reduce, bool mean) {
  using Own = Row<ONE_BLOCK / 32>;
  if (!reduce) {
    const long long row = (long long)blockIdx.x * ONE_BLOCK + threadIdx.x;
    if (row < rows) loss[row] = Number<T>::narrow(losses[row]);
    return;
  }
  double total = 0;
  for (long long row = threadIdx.x; row < rows; row += ONE_BLOCK) total += double(losses[row]);
  total = Own::sum(total);
  if (threadIdx.x == 0) {
    const double result = mean ? total / totals[0] : total;
    *loss = Number<T>::narrow(typename Number<T>::Wide(result));
  }
}
