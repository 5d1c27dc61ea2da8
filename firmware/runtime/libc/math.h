// SPDX-License-Identifier: Apache-2.0
// Floating point; defined in MicroPython's lib/libm (float) and lib/libm_dbl (double).
#ifndef COFFRET_LIBC_MATH_H
#define COFFRET_LIBC_MATH_H

typedef float float_t;
typedef double double_t;

#define NAN __builtin_nanf("")
#define INFINITY __builtin_inff()
#define HUGE_VAL __builtin_huge_val()

#define FP_NAN 0
#define FP_INFINITE 1
#define FP_ZERO 2
#define FP_SUBNORMAL 3
#define FP_NORMAL 4

#define fpclassify(x) __builtin_fpclassify(FP_NAN, FP_INFINITE, FP_NORMAL, FP_SUBNORMAL, FP_ZERO, (x))
#define isfinite(x) __builtin_isfinite(x)
#define isinf(x) __builtin_isinf(x)
#define isnan(x) __builtin_isnan(x)
#define isnormal(x) __builtin_isnormal(x)
#define signbit(x) __builtin_signbit(x)

#define COFFRET_MATH_1(name) \
    float name##f(float x);  \
    double name(double x);
#define COFFRET_MATH_2(name)         \
    float name##f(float x, float y); \
    double name(double x, double y);

COFFRET_MATH_1(acos)
COFFRET_MATH_1(acosh)
COFFRET_MATH_1(asin)
COFFRET_MATH_1(asinh)
COFFRET_MATH_1(atan)
COFFRET_MATH_1(atanh)
COFFRET_MATH_1(ceil)
COFFRET_MATH_1(cos)
COFFRET_MATH_1(cosh)
COFFRET_MATH_1(erf)
COFFRET_MATH_1(erfc)
COFFRET_MATH_1(exp)
COFFRET_MATH_1(expm1)
COFFRET_MATH_1(fabs)
COFFRET_MATH_1(floor)
COFFRET_MATH_1(lgamma)
COFFRET_MATH_1(log)
COFFRET_MATH_1(log10)
COFFRET_MATH_1(log1p)
COFFRET_MATH_1(log2)
COFFRET_MATH_1(nearbyint)
COFFRET_MATH_1(rint)
COFFRET_MATH_1(round)
COFFRET_MATH_1(sin)
COFFRET_MATH_1(sinh)
COFFRET_MATH_1(sqrt)
COFFRET_MATH_1(tan)
COFFRET_MATH_1(tanh)
COFFRET_MATH_1(tgamma)
COFFRET_MATH_1(trunc)
COFFRET_MATH_2(atan2)
COFFRET_MATH_2(copysign)
COFFRET_MATH_2(fmod)
COFFRET_MATH_2(pow)

#undef COFFRET_MATH_1
#undef COFFRET_MATH_2

// Names of the C library that lib/libm was written for.
typedef unsigned char __uint8_t;
typedef int __int32_t;
typedef unsigned int __uint32_t;

// nan("") folds to a constant; there is no function behind it.
float nanf(const char *payload);
double nan(const char *payload);
float frexpf(float x, int *exponent);
double frexp(double x, int *exponent);
float ldexpf(float x, int exponent);
double ldexp(double x, int exponent);
float scalbnf(float x, int exponent);
double scalbn(double x, int exponent);
float modff(float x, float *whole);
double modf(double x, double *whole);

#endif
