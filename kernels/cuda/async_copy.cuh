// Copies from global to shared memory that go on while the thread computes (sm_80 and later).
//
// A thread starts copies, closes a group of them, and later waits until at most so many of its
// groups are still under way. What it copied is seen by itself after the wait, by other threads
// after a barrier behind the wait. A kernel waits for all its copies before it ends.
#pragma once
#include "port.cuh"

#ifdef CUDA_ON_CPU
#include <vector>

// The twin copies as late as it may: in the wait. So a wait that is missing shows.
namespace cuda_on_cpu {
struct Copy {
  void *target;
  const void *source;  // null: zeros
};
struct Copies {
  std::vector<Copy> open;
  std::vector<std::vector<Copy>> groups;
};
static Copies copies_of_thread[MAX_THREADS];
static inline Copies &own_copies() { return copies_of_thread[current->number]; }

static inline void finish_copies(size_t left) {
  auto &groups = own_copies().groups;
  while (groups.size() > left) {
    for (const Copy &copy : groups.front()) {
      const uint4 zeros = {};
      *static_cast<uint4 *>(copy.target) =
          copy.source ? *static_cast<const uint4 *>(copy.source) : zeros;
    }
    groups.erase(groups.begin());
  }
}
}  // namespace cuda_on_cpu
#endif

// Starts a copy of 16 bytes, past the first-level cache; or of zeros, for which nothing is read.
// Both addresses are multiples of 16.
__device__ __forceinline__ void copy_async_16(void *target, const void *source, bool zeros) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::own_copies().open.push_back({target, zeros ? nullptr : source});
#else
  const unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(target));
  const int bytes = zeros ? 0 : 16;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(source),
               "r"(bytes)
               : "memory");
#endif
}

// Closes a group, which may be empty.
__device__ __forceinline__ void close_copies() {
#ifdef CUDA_ON_CPU
  auto &own = cuda_on_cpu::own_copies();
  own.groups.push_back(own.open);
  own.open.clear();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most LEFT groups of the thread are under way, the ones closed last.
template <int LEFT>
__device__ __forceinline__ void wait_for_copies() {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::finish_copies(LEFT);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#endif
}
