// Optimizer steps over flat memory: one pass that reads and writes each array once.
#include "numbers.cuh"

// A number that a launch was given, or that lies in memory where the pointer is not null, so that a
// recorded launch reads it anew.
__device__ __forceinline__ double number(double value, const double *at) {
  return at ? *at : value;
}

// Calls visit(first, size) for each group of N numbers that is this thread's.
template <int N, class Visit>
__device__ __forceinline__ void each_group(long long count, Visit visit) {
  const long long stride = (long long)gridDim.x * blockDim.x * N;
  for (long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * N; i < count; i += stride)
    visit(i, (int)min((long long)N, count - i));
}

// g = sign gradient + decay parameter; buffer = momentum buffer + take g;
// parameter -= lr (g + momentum buffer with nesterov, else buffer); without a buffer lr g.
template <class T, bool aligned>
__global__ void sgd_step(T *parameters, const T *gradients, T *buffer, long long count, double lr,
                         const double *lr_at, double momentum, const double *momentum_at,
                         double take, double decay, double sign, bool nesterov) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  const Wide rate = number(lr, lr_at), keep = number(momentum, momentum_at);
  each_group<N>(count, [&](long long first, int size) {
    Wide values[N] = {}, gradient[N] = {}, moving[N] = {};
    load<T, N, aligned>(parameters + first, size, values);
    load<T, N, aligned>(gradients + first, size, gradient);
    if (buffer) load<T, N, aligned>(buffer + first, size, moving);
#pragma unroll
    for (int i = 0; i < N; i++) {
      gradient[i] = Wide(sign) * gradient[i] + Wide(decay) * values[i];
      if (buffer) {
        moving[i] = keep * moving[i] + Wide(take) * gradient[i];
        gradient[i] = nesterov ? gradient[i] + keep * moving[i] : moving[i];
      }
      values[i] -= rate * gradient[i];
    }
    if (buffer) store<T, N, aligned>(buffer + first, size, moving);
    store<T, N, aligned>(parameters + first, size, values);
  });
}

// What all elements of an AdamW step have in common.
template <class Wide>
struct AdamW {
  Wide keep1, take1, keep2, take2, shrink, rate, correction;
};

template <class T, bool aligned>
__global__ void adamw_step(T *parameters, const T *gradients, T *exp_avg, T *exp_avg_sq,
                           T *max_exp_avg_sq, long long count, double lr, const double *lr_at,
                           double beta1, const double *beta1_at, double beta2,
                           const double *beta2_at, double step, const double *step_at, double eps,
                           double weight_decay, double sign) {
  using Wide = typename Number<T>::Wide;
  constexpr int N = GROUP<T>;
  __shared__ AdamW<Wide> common;
  if (threadIdx.x == 0) {  // in double, because 1 - 0.999^1 has few digits in float
    const double rate = number(lr, lr_at), steps = number(step, step_at);
    const double first = number(beta1, beta1_at), second = number(beta2, beta2_at);
    common = {Wide(first),
              Wide(1 - first),
              Wide(second),
              Wide(1 - second),
              Wide(1 - rate * weight_decay),
              Wide(rate / (1 - pow(first, steps))),
              Wide(1 / sqrt(1 - pow(second, steps)))};
  }
  __syncthreads();
  const AdamW<Wide> c = common;
  each_group<N>(count, [&](long long first, int size) {
    Wide values[N] = {}, gradient[N] = {}, mean[N] = {}, square[N] = {}, highest[N] = {};
    load<T, N, aligned>(parameters + first, size, values);
    load<T, N, aligned>(gradients + first, size, gradient);
    load<T, N, aligned>(exp_avg + first, size, mean);
    load<T, N, aligned>(exp_avg_sq + first, size, square);
    if (max_exp_avg_sq) load<T, N, aligned>(max_exp_avg_sq + first, size, highest);
#pragma unroll
    for (int i = 0; i < N; i++) {
      const Wide g = Wide(sign) * gradient[i];
      mean[i] = c.keep1 * mean[i] + c.take1 * g;
      square[i] = c.keep2 * square[i] + c.take2 * g * g;
      // NaN counts as the larger of two.
      if (!(max_exp_avg_sq && (highest[i] >= square[i] || highest[i] != highest[i])))
        highest[i] = square[i];
      const Wide denominator = sqrt(highest[i]) * c.correction + Wide(eps);
      values[i] = c.shrink * values[i] - c.rate * mean[i] / denominator;
    }
    store<T, N, aligned>(exp_avg + first, size, mean);
    store<T, N, aligned>(exp_avg_sq + first, size, square);
    if (max_exp_avg_sq) store<T, N, aligned>(max_exp_avg_sq + first, size, highest);
    store<T, N, aligned>(parameters + first, size, values);
  });
}
