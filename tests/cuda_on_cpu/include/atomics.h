// Atomic operations. No two fibers run at once; the builtins tell ThreadSanitizer what is atomic.
#pragma once
#include "numbers.h"
#include "threads.h"

namespace cuda_on_cpu {
template <class T, class Change>
static inline T change(T *place, Change what) {
  T old, next;
  __atomic_load(place, &old, __ATOMIC_RELAXED);
  do next = what(old);
  while (!__atomic_compare_exchange(place, &old, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}
}  // namespace cuda_on_cpu

template <class T>
static inline T atomicAdd(T *place, T value) {
  return cuda_on_cpu::change(place, [=](T old) { return T(old + value); });
}
template <class T>
static inline T atomicMax(T *place, T value) {
  return cuda_on_cpu::change(place, [=](T old) { return old < value ? value : old; });
}
template <class T>
static inline T atomicMin(T *place, T value) {
  return cuda_on_cpu::change(place, [=](T old) { return value < old ? value : old; });
}
template <class T>
static inline T atomicExch(T *place, T value) {
  return cuda_on_cpu::change(place, [=](T) { return value; });
}
template <class T>
static inline T atomicCAS(T *place, T expected, T value) {
  return cuda_on_cpu::change(place, [=](T old) { return old == expected ? value : old; });
}
// Counts up to `last`, then begins at 0 again.
static inline unsigned atomicInc(unsigned *place, unsigned last) {
  return cuda_on_cpu::change(place, [=](unsigned old) { return old >= last ? 0u : old + 1; });
}
