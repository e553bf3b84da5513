/* A line of text of bounded length.
 *
 * Instead of printf, whose library writes to files: a tool that formats with this imports nothing of WASI, and
 * reviewers see nothing but kekkai:session among its imports.
 */
#ifndef LINE_H
#define LINE_H

#include <stddef.h>
#include <stdint.h>

#define LINE_MAX 512

/* Starts empty: `struct line line = {0};`. Always ends with a zero; what doesn't fit is cut. */
struct line {
    size_t length;
    char text[LINE_MAX];
};

void line_add(struct line *line, const char *text);
void line_add_bytes(struct line *line, const void *bytes, size_t length);
/* A count, with blanks before it up to a width. */
void line_add_count(struct line *line, uint64_t count, size_t width);
/* A number with three decimals; "nan" and "inf" as they are, and "large" from 1e15. */
void line_add_real(struct line *line, double value);

#endif
