// The rows of a matrix, each taken by one warp or by all warps of a block, and what their threads
// find together.
#pragma once
#include "numbers.cuh"

template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(WHOLE_WARP, x, step);
  return x;
}

// The largest, without NaN where there is another number.
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(WHOLE_WARP, x, step));
  return x;
}
__device__ __forceinline__ double warp_max(double x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmax(x, __shfl_xor_sync(WHOLE_WARP, x, step));
  return x;
}

// The part of a thread in a row that WARPS warps share: 1, or all of the block.
template <int WARPS>
struct Row {
  static constexpr int THREADS = 32 * WARPS;

  // The row of this thread; a warp that has none ends, as no other waits for it.
  static __device__ __forceinline__ long long number() {
    return WARPS == 1 ? (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32 : blockIdx.x;
  }
  static __device__ __forceinline__ int thread() { return threadIdx.x % THREADS; }

  // The sum of x over the threads of the row, in the same order whoever asks.
  template <class T>
  static __device__ __forceinline__ T sum(T x) {
    x = warp_sum(x);
    if (WARPS == 1) return x;
    __shared__ T sums[WARPS];
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
    __syncthreads();
    T total = sums[0];
#pragma unroll
    for (int warp = 1; warp < WARPS; warp++) total += sums[warp];
    __syncthreads();  // the next sum may overwrite them
    return total;
  }

  template <class T>
  static __device__ __forceinline__ T maximum(T x) {
    x = warp_max(x);
    if (WARPS == 1) return x;
    __shared__ T highest[WARPS];
    if (threadIdx.x % 32 == 0) highest[threadIdx.x / 32] = x;
    __syncthreads();
    T top = highest[0];
#pragma unroll
    for (int warp = 1; warp < WARPS; warp++) top = highest[warp] > top ? highest[warp] : top;
    __syncthreads();
    return top;
  }

  // Calls visit(column, size) for each group of columns that is this thread's.
  template <int N, class Visit>
  static __device__ __forceinline__ void each_group(int columns, Visit visit) {
    for (int column = thread() * N; column < columns; column += THREADS * N)
      visit(column, min(N, columns - column));
  }
};
