// The threads of a block, and what makes them wait for each other.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__

// Static shared memory is filled with NaN before each block. To be found for that, it is
// thread-local: such variables lie together, and nothing else in the library is one. AddressSanitizer
// looks after ordinary variables only.
#ifdef __SANITIZE_ADDRESS__
#define __shared__ static
#else
#define __shared__ static thread_local
#endif

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
};

namespace cuda_on_cpu {

enum State : uint8_t { READY, AT_BARRIER, AT_WARP_OPERATION, EXITED };
constexpr int WARP = 32, MAX_THREADS = 1024, SLOT_BYTES = 64;

struct Fiber {
  void *stack_pointer;
  char *stack;
  uint3 index;                    // threadIdx
  int number, lane, warp;         // the number counts through the block; -1: not in this block
  State state;
  const char *site;               // where in the source it waits
  int operation;                  // and for what
  uint32_t mask;                  // the lanes that it waits for
  alignas(16) unsigned char slots[3][SLOT_BYTES];  // what it shows to the others of its warp
  int turn;                       // slots 0 and 1 alternate, see warp.h
  void *sanitizer;                // ThreadSanitizer's name for it
};

extern Fiber fibers[MAX_THREADS];
extern Fiber *current;
extern uint32_t lanes_of_warp[MAX_THREADS / WARP];  // as the block began
extern uint3 block_index;
extern dim3 block_size, grid_size;
extern unsigned char *dynamic_shared;

// Ends the launch with an error that Python raises, `format` and its values as for printf.
[[noreturn]] void fail(const char *format, ...);

// Waits until every thread of the block is at the same place in the source.
void barrier(const char *site);

// Waits until every lane of `mask` is at the same operation and place. Orders memory as __syncwarp
// does where the operation is SYNCWARP; others, as on a GPU, do not.
void meet(uint32_t mask, int operation, const char *site);
enum Operation { SYNCWARP, SHUFFLE, BALLOT, COLLECTIVE };

}  // namespace cuda_on_cpu

#define threadIdx (cuda_on_cpu::current->index)
#define blockIdx cuda_on_cpu::block_index
#define blockDim cuda_on_cpu::block_size
#define gridDim cuda_on_cpu::grid_size
#define warpSize 32

// A place in the source, "softmax.cu:40".
#define CUDA_ON_CPU_TEXT(x) #x
#define CUDA_ON_CPU_PLACE(file, line) file ":" CUDA_ON_CPU_TEXT(line)
#define CUDA_ON_CPU_SITE CUDA_ON_CPU_PLACE(__FILE__, __LINE__)

#define __syncthreads() cuda_on_cpu::barrier(CUDA_ON_CPU_SITE)
#define __syncwarp(...) cuda_on_cpu::sync_warp(CUDA_ON_CPU_SITE __VA_OPT__(, ) __VA_ARGS__)
#define __threadfence() ((void)0)  // blocks run in turn
#define __threadfence_block() ((void)0)
#define __trap() cuda_on_cpu::fail("__trap at " CUDA_ON_CPU_SITE)

namespace cuda_on_cpu {
static inline void sync_warp(const char *site, uint32_t mask = 0xffffffffu) {
  meet(mask, SYNCWARP, site);
}
}  // namespace cuda_on_cpu
