// The device's side of the serial line to bridge.py, and what runs beside it.
//
// One line for one message, at 38400 baud, 8N1; each ends in '*' and four hexadecimal digits, the CRC
// (XMODEM) of what is before the '*'. A line that is not whole is as if it had not come.
//
//   device to bridge   ?<version>           I have started, or have not heard you for a while
//                      =<number>            I have done what that line says
//                      #<text>              something to print
//                      <feature> <list>     values of an input feature
//   bridge to device   <number> ! <mask> <time>    which input features are wanted (hexadecimal, the
//                                           first one is bit 0), and the local time in seconds since 2000
//                      <number> ?                  say your version
//                      <number> <feature> <list>   values for an output feature
//
// The bridge repeats a line until it is answered, and sends the next one only then; a line that comes
// again with the same number is answered, not carried out again. Without a bridge all input features
// send their values, so that a serial monitor shows what the board measures.
#pragma once

#include <Arduino.h>

#include "json.h"

namespace talk {

// Names are in flash: F("…") or PROGMEM.
struct Input {
    const char *name;
    void (*call)(Values &values);
};
struct Output {
    const char *name;
    void (*call)(const Data &data);
};

// Something that is to run again and again beside the features: a short function, as nothing else
// runs meanwhile. A global variable of this type is enough.
class Task {
  public:
    explicit Task(void (*run)());

  private:
    friend void run();
    void (*run_)();
    Task *next_;
};

// A line of text that the bridge prints: { talk::Log log; log.print(F("on")); } It is whole when log
// goes out of scope.
class Log : public Print {
  public:
    Log();
    ~Log();
    size_t write(uint8_t character) override;
    using Print::write;
};

struct Device {
    const char *version;  // in flash, as the two lists
    const Input *inputs;
    uint8_t input_count;  // at most 32
    const Output *outputs;
    uint8_t output_count;
    uint32_t push_interval_ms;
};

// In setup() and loop().
void begin(const Device &device);
void run();

// Call it in what takes longer than some milliseconds: it empties the serial line's small buffer.
void take();

// Whether the bridge is there. What must not get lost waits for it.
bool bridged();

// The local time in seconds since 2000; 0 until the bridge has told it.
uint32_t now();

}  // namespace talk
