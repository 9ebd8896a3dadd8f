// What a CUDA compiler has built in, for g++: included before a kernel's source, so that the same
// source runs on one processor core, one fiber for each CUDA thread and one block at a time.
//
// Nothing but what the kernels use is here. A kernel that needs another intrinsic does not compile
// until the intrinsic is added: synchronisation in threads.h, exchange between the lanes of a warp
// in warp.h, numbers in numbers.h, 16-bit floats in cuda_fp16.h and cuda_bf16.h.
#pragma once
#define CUDA_ON_CPU 1

#include "threads.h"
#include "numbers.h"
#include "warp.h"
#include "atomics.h"
#include "launch.h"
