// float16 under CUDA's names, by the compiler's own _Float16.
#pragma once
#include "numbers.h"

struct alignas(2) __half {
  _Float16 value;
};
struct alignas(4) __half2 {
  __half x, y;
};
typedef __half half;
typedef __half2 half2;

static inline float __half2float(__half h) { return float(h.value); }
static inline __half __float2half_rn(float x) { return {_Float16(x)}; }
static inline __half __float2half(float x) { return __float2half_rn(x); }
static inline unsigned short __half_as_ushort(__half h) { return bits_as<unsigned short>(h); }
static inline __half __ushort_as_half(unsigned short bits) { return bits_as<__half>(bits); }

static inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
static inline __half2 __half2half2(__half x) { return {x, x}; }
static inline __half2 __floats2half2_rn(float x, float y) {
  return {__float2half_rn(x), __float2half_rn(y)};
}
static inline __half2 __float22half2_rn(float2 v) { return __floats2half2_rn(v.x, v.y); }
static inline float2 __half22float2(__half2 h) { return {__half2float(h.x), __half2float(h.y)}; }
static inline float __low2float(__half2 h) { return __half2float(h.x); }
static inline float __high2float(__half2 h) { return __half2float(h.y); }

static inline __half __hadd(__half a, __half b) { return {_Float16(a.value + b.value)}; }
static inline __half __hsub(__half a, __half b) { return {_Float16(a.value - b.value)}; }
static inline __half __hmul(__half a, __half b) { return {_Float16(a.value * b.value)}; }
static inline __half __hfma(__half a, __half b, __half c) {  // exact in double, then rounded
  return {_Float16(double(a.value) * double(b.value) + double(c.value))};
}
static inline __half2 __hadd2(__half2 a, __half2 b) { return {__hadd(a.x, b.x), __hadd(a.y, b.y)}; }
static inline __half2 __hsub2(__half2 a, __half2 b) { return {__hsub(a.x, b.x), __hsub(a.y, b.y)}; }
static inline __half2 __hmul2(__half2 a, __half2 b) { return {__hmul(a.x, b.x), __hmul(a.y, b.y)}; }
static inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
