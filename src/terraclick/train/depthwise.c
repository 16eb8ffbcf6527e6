/* Depthwise convolution on channels-last memory, forward and backward, in bfloat16 or float32.
 *
 * oneDNN's backward pass of depthwise convolutions is 10 to 30 times slower than its arithmetic needs.  These loops
 * keep one vector of channels in registers: all taps of the kernel (or of its gradient) stay there while the picture
 * streams by.  Sums are float32.  Shapes: x (B, H, W, C), y and its gradient (B, P, Q, C), weight (K * K, C).  C must
 * be a multiple of 16.  Every function returns 0, or 1 for a kernel size or stride that it was not written for.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
typedef float vf __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES), aligned(2)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load_f32(const void *p, size_t i) { vf v; memcpy(&v, (const float *)p + i, sizeof v); return v; }
INLINE void store_f32(void *p, size_t i, vf v) { memcpy((float *)p + i, &v, sizeof v); }

INLINE vf load_bf16(const void *p, size_t i) {
    vh h;
    memcpy(&h, (const uint16_t *)p + i, sizeof h);
    vu u = __builtin_convertvector(h, vu) << 16;
    vf v;
    memcpy(&v, &u, sizeof v);
    return v;
}

INLINE void store_bf16(void *p, size_t i, vf v) { /* round to nearest, ties to even */
    vu u;
    memcpy(&u, &v, sizeof u);
    u += 0x7fff + ((u >> 16) & 1);
    vh h = __builtin_convertvector(u >> 16, vh);
    memcpy((uint16_t *)p + i, &h, sizeof h);
}

typedef struct {
    int64_t batch, height, width, channels; /* of x */
    int64_t rows, cols;                     /* of y */
    int64_t top, left;                      /* padding before the first row and column */
} shape_t;

INLINE int inside(int64_t i, int64_t n) { return i >= 0 && i < n; }

#define DEFINE(NAME, LOAD, STORE, K, S)                                                                               \
    static void forward_##NAME(const void *x, const float *weight, const float *bias, void *y, const shape_t *d) {     \
        for (int64_t n = 0; n < d->batch; n++)                                                                         \
            for (int64_t c = 0; c < d->channels; c += LANES) {                                                         \
                vf w[K * K];                                                                                           \
                for (int t = 0; t < K * K; t++) w[t] = load_f32(weight, t * d->channels + c);                          \
                vf b = load_f32(bias, c);                                                                              \
                for (int64_t p = 0; p < d->rows; p++)                                                                  \
                    for (int64_t q = 0; q < d->cols; q++) {                                                            \
                        int64_t r0 = p * S - d->top, s0 = q * S - d->left;                                             \
                        const size_t base = ((n * d->height + r0) * d->width + s0) * d->channels + c;                  \
                        vf sum = b;                                                                                    \
                        if (r0 >= 0 && s0 >= 0 && r0 + K <= d->height && s0 + K <= d->width) {                         \
                            _Pragma("GCC unroll 5") for (int i = 0; i < K; i++)                                        \
                                _Pragma("GCC unroll 5") for (int j = 0; j < K; j++)                                    \
                                    sum += w[i * K + j] * LOAD(x, base + (i * d->width + j) * d->channels);            \
                        } else {                                                                                       \
                            for (int i = 0; i < K; i++)                                                                \
                                for (int j = 0; j < K; j++)                                                            \
                                    if (inside(r0 + i, d->height) && inside(s0 + j, d->width))                         \
                                        sum += w[i * K + j] * LOAD(x, base + (i * d->width + j) * d->channels);        \
                        }                                                                                              \
                        STORE(y, ((n * d->rows + p) * d->cols + q) * d->channels + c, sum);                            \
                    }                                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    static void weight_##NAME(const void *x, const void *gy, float *gw, float *gb, const shape_t *d) {                 \
        for (int64_t n = 0; n < d->batch; n++)                                                                         \
            for (int64_t c = 0; c < d->channels; c += LANES) {                                                         \
                vf w[K * K];                                                                                           \
                vf b = {0};                                                                                            \
                for (int t = 0; t < K * K; t++) w[t] = (vf){0};                                                        \
                for (int64_t p = 0; p < d->rows; p++)                                                                  \
                    for (int64_t q = 0; q < d->cols; q++) {                                                            \
                        int64_t r0 = p * S - d->top, s0 = q * S - d->left;                                             \
                        const size_t base = ((n * d->height + r0) * d->width + s0) * d->channels + c;                  \
                        vf g = LOAD(gy, ((n * d->rows + p) * d->cols + q) * d->channels + c);                          \
                        b += g;                                                                                        \
                        if (r0 >= 0 && s0 >= 0 && r0 + K <= d->height && s0 + K <= d->width) {                         \
                            _Pragma("GCC unroll 5") for (int i = 0; i < K; i++)                                        \
                                _Pragma("GCC unroll 5") for (int j = 0; j < K; j++)                                    \
                                    w[i * K + j] += g * LOAD(x, base + (i * d->width + j) * d->channels);              \
                        } else {                                                                                       \
                            _Pragma("GCC unroll 5") for (int i = 0; i < K; i++)                                        \
                                _Pragma("GCC unroll 5") for (int j = 0; j < K; j++)                                    \
                                    if (inside(r0 + i, d->height) && inside(s0 + j, d->width))                         \
                                        w[i * K + j] += g * LOAD(x, base + (i * d->width + j) * d->channels);          \
                        }                                                                                              \
                    }                                                                                                  \
                for (int t = 0; t < K * K; t++) {                                                                      \
                    size_t at = t * d->channels + c;                                                                   \
                    store_f32(gw, at, n ? load_f32(gw, at) + w[t] : w[t]);                                             \
                }                                                                                                      \
                store_f32(gb, c, n ? load_f32(gb, c) + b : b);                                                         \
            }                                                                                                          \
    }                                                                                                                  \
    static void input_##NAME(const void *gy, const float *weight, void *gx, const shape_t *d) {                        \
        for (int64_t n = 0; n < d->batch; n++)                                                                         \
            for (int64_t c = 0; c < d->channels; c += LANES) {                                                         \
                vf w[K * K];                                                                                           \
                for (int t = 0; t < K * K; t++) w[t] = load_f32(weight, t * d->channels + c);                          \
                for (int64_t r = 0; r < d->height; r++)                                                                \
                    for (int64_t s = 0; s < d->width; s++) {                                                           \
                        int64_t up = r + d->top, along = s + d->left;                                                  \
                        vf sum = {0};                                                                                  \
                        if (S == 1 && up >= K - 1 && along >= K - 1 && up < d->rows && along < d->cols) {              \
                            const size_t base = ((n * d->rows + up) * d->cols + along) * d->channels + c;              \
                            _Pragma("GCC unroll 5") for (int i = 0; i < K; i++)                                        \
                                _Pragma("GCC unroll 5") for (int j = 0; j < K; j++)                                    \
                                    sum += w[i * K + j] * LOAD(gy, base - (i * d->cols + j) * d->channels);            \
                        } else {                                                                                       \
                            for (int i = up % S; i < K; i += S) {                                                      \
                                int64_t p = (up - i) / S;                                                              \
                                if (up < i || p >= d->rows) continue;                                                  \
                                for (int j = along % S; j < K; j += S) {                                               \
                                    int64_t q = (along - j) / S;                                                       \
                                    if (along < j || q >= d->cols) continue;                                           \
                                    sum += w[i * K + j] * LOAD(gy, ((n * d->rows + p) * d->cols + q) * d->channels + c); \
                                }                                                                                      \
                            }                                                                                          \
                        }                                                                                              \
                        STORE(gx, ((n * d->height + r) * d->width + s) * d->channels + c, sum);                        \
                    }                                                                                                  \
        }                                                                                                              \
    }

DEFINE(bf16_3_1, load_bf16, store_bf16, 3, 1)
DEFINE(bf16_3_2, load_bf16, store_bf16, 3, 2)
DEFINE(bf16_5_1, load_bf16, store_bf16, 5, 1)
DEFINE(bf16_5_2, load_bf16, store_bf16, 5, 2)
DEFINE(f32_3_1, load_f32, store_f32, 3, 1)
DEFINE(f32_3_2, load_f32, store_f32, 3, 2)
DEFINE(f32_5_1, load_f32, store_f32, 5, 1)
DEFINE(f32_5_2, load_f32, store_f32, 5, 2)

#define CHOOSE(PASS, ...)                                                                                              \
    switch ((half ? 100 : 0) + kernel * 10 + stride) {                                                                 \
    case 131: PASS##_bf16_3_1(__VA_ARGS__); return 0;                                                                  \
    case 132: PASS##_bf16_3_2(__VA_ARGS__); return 0;                                                                  \
    case 151: PASS##_bf16_5_1(__VA_ARGS__); return 0;                                                                  \
    case 152: PASS##_bf16_5_2(__VA_ARGS__); return 0;                                                                  \
    case 31: PASS##_f32_3_1(__VA_ARGS__); return 0;                                                                    \
    case 32: PASS##_f32_3_2(__VA_ARGS__); return 0;                                                                    \
    case 51: PASS##_f32_5_1(__VA_ARGS__); return 0;                                                                    \
    case 52: PASS##_f32_5_2(__VA_ARGS__); return 0;                                                                    \
    }                                                                                                                  \
    return 1;

int depthwise_forward(int half, int kernel, int stride, const void *x, const float *weight, const float *bias, void *y,
                      const shape_t *d) {
    CHOOSE(forward, x, weight, bias, y, d)
}

int depthwise_weight(int half, int kernel, int stride, const void *x, const void *gy, float *gw, float *gb,
                     const shape_t *d) {
    CHOOSE(weight, x, gy, gw, gb, d)
}

int depthwise_input(int half, int kernel, int stride, const void *gy, const float *weight, void *gx, const shape_t *d) {
    CHOOSE(input, gy, weight, gx, d)
}
