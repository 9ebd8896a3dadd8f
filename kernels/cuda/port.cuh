// What kernels are written with: the same names under nvcc, under NVRTC (by way of CuPy), and under
// g++, which runs them in tests (tests/cuda_on_cpu).
//
// Instructions that C++ cannot express are inline PTX with a twin in C++ beside it, here and in the
// headers for tensor cores and asynchronous copies. A kernel itself asks for no compiler.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#ifdef __CUDACC_RTC__  // NVRTC has no <cstdint>
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#endif

constexpr unsigned WHOLE_WARP = 0xffffffffu;

// `name`, a pointer to the dynamic shared memory of the launch, which begins at a multiple of 16.
#ifdef CUDA_ON_CPU
#define DYNAMIC_SHARED(T, name) T *name = reinterpret_cast<T *>(cuda_on_cpu::dynamic_shared)
#else
#define DYNAMIC_SHARED(T, name)                               \
  extern __shared__ __align__(16) unsigned char all_shared[]; \
  T *name = reinterpret_cast<T *>(all_shared)
#endif

template <class A, class B>
struct Same {
  static constexpr bool value = false;
};
template <class A>
struct Same<A, A> {
  static constexpr bool value = true;
};

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

// 2^x with an error of 2 units in the last place, and 0 for what underflows.
__device__ __forceinline__ float exp2_approximate(float x) {
#ifdef CUDA_ON_CPU
  return exp2f(x);
#else
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#endif
}

// log2(x); of numbers near 1, whose logarithm is near 0, with an absolute error of 2^-22.
__device__ __forceinline__ float log2_approximate(float x) {
#ifdef CUDA_ON_CPU
  return log2f(x);
#else
  float result;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#endif
}

// 16 bytes that are read once: past the first-level cache. The address is a multiple of 16.
__device__ __forceinline__ uint4 load_once_16(const void *place) {
#ifdef CUDA_ON_CPU
  return *static_cast<const uint4 *>(place);
#else
  uint4 r;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
               : "l"(place));
  return r;
#endif
}
