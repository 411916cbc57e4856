#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#else
#define pgm_read_byte(address) (*(address))
#endif

namespace talk {

Values::Values(char *buffer, uint8_t size) : buffer_(buffer), size_(size) {}

void Values::put(char character) {
    // Room for the last bracket and the end.
    if (length_ + 2 >= size_)
        overfull_ = true;
    else
        buffer_[length_++] = character;
}

void Values::begin() { put(length_ == 0 ? '[' : ','); }

void Values::clear() {
    length_ = 0;
    overfull_ = false;
}

const char *Values::finish() {
    if (length_ == 0) put('[');
    buffer_[length_] = ']';
    buffer_[length_ + 1] = 0;
    return buffer_;
}

void Values::add_null() {
    begin();
    for (const char *each = "null"; *each; ++each) put(*each);
}

void Values::add_fixed(int32_t value, uint8_t decimals) {
    begin();
    if (value < 0) put('-');
    // Unsigned, as the lowest number has no positive twin.
    uint32_t rest = value < 0 ? 0 - static_cast<uint32_t>(value) : static_cast<uint32_t>(value);
    char digits[12];
    uint8_t count = 0;
    do {
        digits[count++] = static_cast<char>('0' + rest % 10);
        rest /= 10;
    } while (rest != 0 || (count <= decimals && count < sizeof digits));
    while (count-- > 0) {
        put(digits[count]);
        if (count == decimals && decimals > 0) put('.');
    }
}

void Values::add(double value, uint8_t decimals) {
    double scaled = value;
    for (uint8_t i = 0; i < decimals; ++i) scaled *= 10;
    // A number that is too large for its decimals loses them.
    while (decimals > 0 && fabs(scaled) > 2147483000.0) {
        scaled /= 10;
        --decimals;
    }
    if (!(fabs(scaled) <= 2147483000.0))
        add_null();
    else
        add_fixed(static_cast<int32_t>(floor(scaled + 0.5)), decimals);
}

void Values::put_escaped(char character) {
    const uint8_t code = static_cast<uint8_t>(character);
    if (code < 0x20) {
        put(' ');
        return;
    }
    if (character == '"' || character == '\\') put('\\');
    put(character);
}

void Values::add(const char *text) {
    begin();
    put('"');
    while (*text) put_escaped(*text++);
    put('"');
}

void Values::add(const __FlashStringHelper *text) {
    begin();
    put('"');
    const char *each = reinterpret_cast<const char *>(text);
    while (const char character = static_cast<char>(pgm_read_byte(each++))) put_escaped(character);
    put('"');
}

Data::Data(char *list) {
    char *read = list;
    const auto skip = [&read] {
        while (*read == ' ') ++read;
    };
    if (*read++ != '[') return;
    skip();
    if (*read == ']') {
        valid_ = read[1] == 0;
        return;
    }
    while (size_ < MOST) {
        skip();
        char *const start = read;
        char *end = read;
        if (*read == '"') {
            end = ++read;  // text is moved to the front by its escapes
            while (*read && *read != '"') {
                if (*read == '\\' && *++read != '"' && *read != '\\') return;
                *end++ = *read++;
            }
            if (*read++ != '"') return;
        } else {
            while (*read && *read != ',' && *read != ']' && *read != ' ' && *read != '[') ++read;
            end = read;
            if (end == start) return;
        }
        skip();
        const char next = *read++;
        *end = 0;
        value_[size_++] = start;
        if (next == ']') {
            valid_ = *read == 0;
            return;
        }
        if (next != ',') return;
    }
}

const char *Data::text(uint8_t index) const {
    return index < size_ && value_[index][0] == '"' ? value_[index] + 1 : "";
}

double Data::number(uint8_t index) const {
    if (index >= size_) return 0;
    return strcmp(value_[index], "true") == 0 ? 1 : atof(value_[index]);
}

long Data::integer(uint8_t index) const {
    int32_t value = 0;
    return fixed(index, 0, value) ? value : 0;
}

bool Data::fixed(uint8_t index, uint8_t decimals, int32_t &value) const {
    if (index >= size_) return false;
    const char *read = value_[index];
    const bool negative = *read == '-';
    if (negative) ++read;
    uint32_t total = 0;
    bool digits = false;
    bool point = false;
    uint8_t missing = decimals;
    for (; *read; ++read) {
        if (*read == '.' && !point && digits) {
            point = true;
            continue;
        }
        if (*read < '0' || *read > '9') return false;
        const uint8_t digit = static_cast<uint8_t>(*read - '0');
        digits = true;
        if (point && missing == 0) {
            if (digit != 0) return false;
            continue;
        }
        if (point) --missing;
        if (total > (0x7FFFFFFFul - digit) / 10) return false;
        total = total * 10 + digit;
    }
    if (!digits) return false;
    for (; missing > 0; --missing) {
        if (total > 0x7FFFFFFFul / 10) return false;
        total *= 10;
    }
    value = negative ? -static_cast<int32_t>(total) : static_cast<int32_t>(total);
    return true;
}

}  // namespace talk
