// Leaving one stack for another, and what the sanitizers have to be told about it.
#pragma once
#include <sys/mman.h>

#include "threads.h"

#ifdef WITH_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
constexpr size_t STACK_BYTES = 256 << 10;
#else
constexpr size_t STACK_BYTES = 64 << 10;
#endif

// What happened before `release` has happened for who calls `acquire` of the same place.
#ifdef WITH_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
static inline void release(void *place) { __tsan_release(place); }
static inline void acquire(void *place) { __tsan_acquire(place); }
#else
static inline void release(void *) {}
static inline void acquire(void *) {}
#endif

#if defined(__x86_64__)
// Keeps what a called function must preserve on the old stack, and takes it from the new one.
extern "C" void cuda_on_cpu_swap(void **save, void *load);
asm(R"(
.text
.globl cuda_on_cpu_swap
.hidden cuda_on_cpu_swap
.type cuda_on_cpu_swap, @function
cuda_on_cpu_swap:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");
// A stack as cuda_on_cpu_swap leaves one, but that its return goes to `begin`.
static inline void *new_stack(char *stack, void (*begin)()) {
  void **top = reinterpret_cast<void **>(stack + STACK_BYTES);
  *--top = nullptr;  // begin() does not return
  *--top = reinterpret_cast<void *>(begin);
  top -= 6;
  memset(top, 0, 6 * sizeof(void *));
  return top;
}
#else
// Other processors: the C library's contexts, which make a system call each time.
#include <ucontext.h>
#include <cstdlib>
static inline void cuda_on_cpu_swap(void **save, void *load) {
  ucontext_t here;
  *save = &here;
  swapcontext(&here, static_cast<ucontext_t *>(load));
}
static inline void *new_stack(char *stack, void (*begin)()) {
  ucontext_t *context = reinterpret_cast<ucontext_t *>(stack);  // at the end that is used last
  getcontext(context);
  context->uc_stack.ss_sp = stack + sizeof(ucontext_t);
  context->uc_stack.ss_size = STACK_BYTES - sizeof(ucontext_t);
  context->uc_link = nullptr;
  makecontext(context, begin, 0);
  return context;
}
#endif

// Memory for a stack, below which a page stops what grows beyond it.
static inline char *allocate_stack() {
  constexpr size_t PAGE = 4096;
  char *memory = static_cast<char *>(mmap(nullptr, STACK_BYTES + PAGE, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  mprotect(memory, PAGE, PROT_NONE);
  return memory + PAGE;
}
