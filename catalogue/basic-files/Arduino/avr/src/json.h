// JSON lists of plain values in buffers of fixed size: no memory is taken while the device runs.
#pragma once

#include <stdint.h>

class __FlashStringHelper;  // Arduino's F("text")

namespace talk {

// The list that an input feature sends, written value by value. What does not fit makes it overfull,
// and an overfull list is not sent.
class Values {
  public:
    Values(char *buffer, uint8_t size);

    void add(long value) { add_fixed(value, 0); }
    void add(int value) { add_fixed(value, 0); }
    void add(unsigned value) { add_fixed(static_cast<int32_t>(value), 0); }
    // Up to 2^31 - 1.
    void add(unsigned long value) { add_fixed(static_cast<int32_t>(value), 0); }
    // Rounded; a double has 6 to 7 digits here. null where it is no number.
    void add(double value, uint8_t decimals = 2);
    // A whole number of the smallest unit, without any loss: 435 with 2 decimals is 4.35.
    void add_fixed(int32_t value, uint8_t decimals);
    void add(const char *text);
    void add(const __FlashStringHelper *text);
    void add_null();
    // Send nothing.
    void clear();

    bool empty() const { return length_ == 0; }
    bool overfull() const { return overfull_; }
    // The whole list; the last bracket is added here.
    const char *finish();

  private:
    void begin();
    void put(char character);
    void put_escaped(char character);

    char *buffer_;
    uint8_t size_;
    uint8_t length_ = 0;
    bool overfull_ = false;
};

// The list that came for an output feature. The bridge writes numbers without exponents, and no
// lists within the list. What is asked for and not there is 0 or an empty text.
class Data {
  public:
    // Takes the text of a list apart, in place.
    explicit Data(char *list);

    bool valid() const { return valid_; }
    uint8_t size() const { return size_; }
    const char *text(uint8_t index) const;
    double number(uint8_t index) const;
    long integer(uint8_t index) const;
    // The exact number as a whole count of its smallest unit: 4.35 with 2 decimals is 435. False where
    // it is no number, has more decimals, or is beyond 2^31.
    bool fixed(uint8_t index, uint8_t decimals, int32_t &value) const;

  private:
    static const uint8_t MOST = 12;
    char *value_[MOST];  // the first character; that of a text is its quotation mark
    uint8_t size_ = 0;
    bool valid_ = false;
};

}  // namespace talk
