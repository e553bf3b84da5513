#include "line.h"

#include <math.h>
#include <string.h>

void line_add_bytes(struct line *line, const void *bytes, size_t length) {
    size_t room = LINE_MAX - 1 - line->length;
    size_t kept = length < room ? length : room;
    /* Not in the middle of a character of UTF-8. */
    while (kept < length && kept && (((const uint8_t *)bytes)[kept] & 0xc0) == 0x80) {
        kept--;
    }
    if (kept) {
        memcpy(line->text + line->length, bytes, kept);
        line->length += kept;
    }
    line->text[line->length] = 0;
}

void line_add(struct line *line, const char *text) {
    line_add_bytes(line, text, strlen(text));
}

void line_add_count(struct line *line, uint64_t count, size_t width) {
    /* 64 bits have at most 20 digits. */
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + count % 10);
        count /= 10;
    } while (count);
    size_t length = sizeof digits - first;
    for (; width > length; width--) {
        line_add(line, " ");
    }
    line_add_bytes(line, digits + first, length);
}

void line_add_real(struct line *line, double value) {
    if (isnan(value)) {
        line_add(line, "nan");
        return;
    }
    if (value < 0) {
        line_add(line, "-");
        value = -value;
    }
    if (value >= 1e15) {
        line_add(line, isinf(value) ? "inf" : "large");
        return;
    }
    uint64_t thousandths = (uint64_t)rint(value * 1000);
    char decimals[4] = {'.', 0, 0, 0};
    for (int i = 3; i > 0; i--) {
        static const uint64_t divisors[] = {0, 100, 10, 1};
        decimals[i] = (char)('0' + thousandths / divisors[i] % 10);
    }
    line_add_count(line, thousandths / 1000, 0);
    line_add_bytes(line, decimals, sizeof decimals);
}
