// Numbers as they are stored (float, double, float16, bfloat16) and as they are computed with, and
// groups of neighbours read and written at once.
#pragma once
#include "port.cuh"

// Wide: what a T is computed in.
template <class T>
struct Number {
  using Wide = T;
  static __device__ __forceinline__ T widen(T x) { return x; }
  static __device__ __forceinline__ T narrow(T x) { return x; }
};
template <>
struct Number<__half> {
  using Wide = float;
  static __device__ __forceinline__ float widen(__half x) { return __half2float(x); }
  static __device__ __forceinline__ __half narrow(float x) { return __float2half_rn(x); }
};
template <>
struct Number<__nv_bfloat16> {
  using Wide = float;
  static __device__ __forceinline__ float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
  static __device__ __forceinline__ __nv_bfloat16 narrow(float x) {
    return __float2bfloat16_rn(x);
  }
};

// How many T are read and written at once: 16 bytes.
template <class T>
constexpr int GROUP = 16 / sizeof(T);

// N numbers whose address is a multiple of their size, up to the 16 bytes of one memory access.
template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Group {
  T item[N];
};

// values[0 : size] = place[0 : size], wide; at most N of them. Where aligned is true the place is a
// multiple of the group's size.
template <class T, int N, bool aligned, class Wide>
__device__ __forceinline__ void load(const T *place, int size, Wide *values) {
  if (aligned && size >= N) {
    const Group<T, N> group = *reinterpret_cast<const Group<T, N> *>(place);
#pragma unroll
    for (int i = 0; i < N; i++) values[i] = Number<T>::widen(group.item[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++)
      if (i < size) values[i] = Number<T>::widen(place[i]);
  }
}

// place[0 : size] = values[0 : size], rounded to T; likewise.
template <class T, int N, bool aligned, class Wide>
__device__ __forceinline__ void store(T *place, int size, const Wide *values) {
  if (aligned && size >= N) {
    Group<T, N> group;
#pragma unroll
    for (int i = 0; i < N; i++) group.item[i] = Number<T>::narrow(values[i]);
    *reinterpret_cast<Group<T, N> *>(place) = group;
  } else {
#pragma unroll
    for (int i = 0; i < N; i++)
      if (i < size) place[i] = Number<T>::narrow(values[i]);
  }
}
