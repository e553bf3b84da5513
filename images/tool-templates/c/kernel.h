/* A numeric kernel that is the same natively and in a guest: weighted moments of columns of doubles. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>

/* Weighted count, mean and sum of squared deviations from the mean. Start with all zero. */
struct moments {
    double weight;
    double mean;
    double squares;
};

/* Doubles that one block looks at twice: two columns of it stay in a first-level cache. */
#define MOMENTS_BLOCK 1024

/* Adds one set of moments to another: Chan, Golub and LeVeque (1979). */
static inline void moments_merge(struct moments *all, struct moments part) {
    double weight = all->weight + part.weight;
    if (!(part.weight > 0)) {
        return;
    }
    double apart = part.mean - all->mean;
    all->mean += apart * (part.weight / weight);
    all->squares += part.squares + apart * apart * (all->weight * part.weight / weight);
    all->weight = weight;
}

/* Adds `count` values `x` with weights `w`, none of them negative.
 *
 * Two passes over each block: the deviations are from the block's own mean, so that a large mean costs no
 * digits. Four sums side by side: a compiler may not reorder a single one, and would wait for each addition.
 */
static inline void moments_add(struct moments *all, const double *x, const double *w, size_t count) {
    for (size_t start = 0; start < count; start += MOMENTS_BLOCK) {
        size_t length = count - start < MOMENTS_BLOCK ? count - start : MOMENTS_BLOCK;
        const double *bx = x + start;
        const double *bw = w + start;
        size_t whole = length - length % 4;
        double weight[4] = {0, 0, 0, 0};
        double sum[4] = {0, 0, 0, 0};
        for (size_t i = 0; i < whole; i += 4) {
            for (int lane = 0; lane < 4; lane++) {
                weight[lane] += bw[i + lane];
                sum[lane] += bw[i + lane] * bx[i + lane];
            }
        }
        for (size_t i = whole; i < length; i++) {
            weight[0] += bw[i];
            sum[0] += bw[i] * bx[i];
        }
        struct moments block = {weight[0] + weight[1] + weight[2] + weight[3], 0, 0};
        if (!(block.weight > 0)) {
            continue;
        }
        block.mean = (sum[0] + sum[1] + sum[2] + sum[3]) / block.weight;
        double squares[4] = {0, 0, 0, 0};
        for (size_t i = 0; i < whole; i += 4) {
            for (int lane = 0; lane < 4; lane++) {
                double off = bx[i + lane] - block.mean;
                squares[lane] += bw[i + lane] * off * off;
            }
        }
        for (size_t i = whole; i < length; i++) {
            double off = bx[i] - block.mean;
            squares[0] += bw[i] * off * off;
        }
        block.squares = squares[0] + squares[1] + squares[2] + squares[3];
        moments_merge(all, block);
    }
}

#endif
