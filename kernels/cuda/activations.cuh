// Activations and their derivatives. `saved` is the activation's output, or its input for silu, gelu
// and gelu_tanh, whose derivative can't be had from the output. `parameter` is the slope of
// leaky_relu and the alpha of elu.
#pragma once
#include "numbers.cuh"

// As activations.py counts them. All threads of a launch take the same branch.
enum Activation { NONE, RELU, LEAKY_RELU, ELU, SIGMOID, TANH, SILU, GELU, GELU_TANH };

constexpr double ROOT_OF_HALF = 0.70710678118654752, ROOT_OF_2_BY_PI = 0.79788456080286536;
constexpr double ROOT_OF_1_BY_2_PI = 0.39894228040143268, CUBIC = 0.044715;

// tanh cannot overflow, where e^-x can.
template <class F>
__device__ __forceinline__ F sigmoid(F x) {
  return F(0.5) * tanh(F(0.5) * x) + F(0.5);
}
template <class F>
__device__ __forceinline__ F normal_cdf(F x) {
  return F(0.5) * (1 + erf(x * F(ROOT_OF_HALF)));
}
template <class F>
__device__ __forceinline__ F gelu_inner(F x) {
  return F(ROOT_OF_2_BY_PI) * (x + F(CUBIC) * x * x * x);
}

template <class F>
__device__ __forceinline__ F activate(int activation, F x, F parameter) {
  switch (activation) {
    case RELU: return x < 0 ? 0 : x;  // NaN stays NaN
    case LEAKY_RELU: return x < 0 ? x * parameter : x;
    case ELU: return x < 0 ? parameter * expm1(x) : x;
    case SIGMOID: return sigmoid(x);
    case TANH: return tanh(x);
    case SILU: return x * sigmoid(x);
    case GELU: return x * normal_cdf(x);
    case GELU_TANH: return F(0.5) * x * (1 + tanh(gelu_inner(x)));
    default: return x;
  }
}

template <class F>
__device__ __forceinline__ F activation_gradient(int activation, F g, F saved, F parameter) {
  switch (activation) {
    case RELU: return saved <= 0 ? 0 : g;
    case LEAKY_RELU: return saved <= 0 ? g * parameter : g;
    case ELU: return saved <= 0 ? g * (saved + parameter) : g;
    case SIGMOID: return g * (1 - saved) * saved;
    case TANH: return g * (1 - saved * saved);
    case SILU: {
      const F s = sigmoid(saved);
      return g * (s * (1 + saved * (1 - s)));
    }
    case GELU: {
      const F density = exp(F(-0.5) * saved * saved) * F(ROOT_OF_1_BY_2_PI);
      return g * (normal_cdf(saved) + saved * density);
    }
    case GELU_TANH: {
      const F t = tanh(gelu_inner(saved));
      const F slope = F(ROOT_OF_2_BY_PI) * (1 + F(3 * CUBIC) * saved * saved);
      return g * (F(0.5) * (1 + t) + F(0.5) * saved * (1 - t * t) * slope);
    }
    default: return g;
  }
}
