#include "talk.h"

#include <string.h>

namespace talk {
namespace {

const uint32_t BAUD = 38400;
const uint8_t LONGEST = 128;        // of a line that comes
const uint8_t LONGEST_VALUES = 160; // of a list that goes out
const uint32_t HELLO_MS = 2000;
// The bridge says something every 10 s.
const uint32_t SILENCE_MS = 35000;
const uint32_t HOUR_MS = 3600000;

Device device;
Task *first_task = nullptr;

char line[LONGEST];
uint8_t length = 0;
bool skipping = true;  // until the next line begins: a start in the middle of one is no line
bool complete = false;
bool busy = false;     // the line is in use
int16_t last_number = -1;

// Without a bridge all features speak: a serial monitor shows them.
const uint32_t ALL = 0xFFFFFFFF;
uint32_t mask = ALL;
uint32_t heard_at = 0;
uint32_t hello_at = 0;
uint32_t pushed_at = 0;
uint8_t next_input = 0;
bool heard = false;

uint32_t told_time = 0;
uint32_t told_at = 0;

uint16_t crc_add(uint16_t crc, uint8_t byte) {
    crc ^= static_cast<uint16_t>(byte) << 8;
    for (uint8_t bit = 0; bit < 8; ++bit)
        crc = static_cast<uint16_t>((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0));
    return crc;
}

// A line on its way out.
class Out {
  public:
    void put(char character) {
        crc_ = crc_add(crc_, static_cast<uint8_t>(character));
        raw(character);
    }

    void put(const char *text) {
        while (*text) put(*text++);
    }

    void put_P(const char *text) {
        while (const char character = static_cast<char>(pgm_read_byte(text++))) put(character);
    }

    void end() {
        const uint16_t crc = crc_;
        raw('*');
        for (int8_t shift = 12; shift >= 0; shift -= 4)
            raw("0123456789abcdef"[(crc >> shift) & 0xF]);
        raw('\n');
        crc_ = 0;
    }

  private:
    static void raw(char character) {
        // The other direction must not wait for this one.
        while (Serial.availableForWrite() == 0) take();
        Serial.write(character);
    }

    uint16_t crc_ = 0;
};

Out log_line;

bool whole() {
    if (length < 5 || line[length - 5] != '*') return false;
    uint16_t crc = 0;
    for (uint8_t i = 0; i < length - 5; ++i) crc = crc_add(crc, static_cast<uint8_t>(line[i]));
    char *end = nullptr;
    const unsigned long told = strtoul(line + length - 4, &end, 16);
    line[length - 5] = 0;
    return *end == 0 && told == crc;
}

void hello() {
    Out out;
    out.put('?');
    out.put_P(device.version);
    out.end();
    hello_at = millis();
}

void obey(char *text) {
    if (text[0] == '!') {
        char *rest = text + 1;
        mask = strtoul(rest, &rest, 16);
        told_time = strtoul(rest, nullptr, 10);
        told_at = millis();
        return;
    }
    if (text[0] == '?') {
        hello();
        return;
    }
    char *list = strchr(text, ' ');
    if (list == nullptr) return;
    *list++ = 0;
    for (uint8_t i = 0; i < device.output_count; ++i) {
        Output output;
        memcpy_P(&output, device.outputs + i, sizeof output);
        if (strcmp_P(text, output.name) != 0) continue;
        const Data data(list);
        if (data.valid()) {
            output.call(data);
        } else {
            Log log;
            log.print(text);
            log.print(F(": this list cannot be read"));
        }
    }
}

void handle() {
    char *rest = line;
    if (!whole()) return;
    const int16_t number = static_cast<int16_t>(strtol(line, &rest, 10));
    if (rest == line || *rest != ' ') return;
    if (!heard) mask = 0;
    heard = true;
    heard_at = millis();
    if (number != last_number) obey(rest + 1);
    last_number = number;
    Out out;
    char digits[8];
    out.put('=');
    out.put(itoa(number, digits, 10));
    out.end();
}

void push(uint8_t index) {
    char buffer[LONGEST_VALUES];
    Input input;
    memcpy_P(&input, device.inputs + index, sizeof input);
    Values values(buffer, sizeof buffer);
    input.call(values);
    if (values.empty()) return;
    if (values.overfull()) {
        Log log;
        log.print(reinterpret_cast<const __FlashStringHelper *>(input.name));
        log.print(F(": too much for one line"));
        return;
    }
    Out out;
    out.put_P(input.name);
    out.put(' ');
    out.put(values.finish());
    out.end();
}

// One feature in each round, so that what comes is not kept waiting.
void push_next() {
    if (next_input >= device.input_count) {
        if (millis() - pushed_at < device.push_interval_ms) return;
        pushed_at = millis();
        next_input = 0;
    }
    if (mask & (1ul << next_input)) push(next_input);
    ++next_input;
}

}  // namespace

Task::Task(void (*run)()) : run_(run), next_(first_task) { first_task = this; }

Log::Log() { log_line.put('#'); }
Log::~Log() { log_line.end(); }

size_t Log::write(uint8_t character) {
    log_line.put(character < 0x20 ? ' ' : static_cast<char>(character));
    return 1;
}

void begin(const Device &given) {
    device = given;
    next_input = device.input_count;
    Serial.begin(BAUD);
    // The bridge skips what was on the line before.
    Serial.write('\n');
    hello();
}

void take() {
    while (!complete && Serial.available() > 0) {
        const char character = static_cast<char>(Serial.read());
        if (character == '\n') {
            complete = !skipping && !busy && length > 0;
            if (complete) line[length] = 0;
            skipping = false;
            if (!complete) length = 0;
        } else if (busy || length >= LONGEST - 1) {
            skipping = true;
        } else if (!skipping) {
            line[length++] = character;
        }
    }
}

void run() {
    take();
    if (complete) {
        busy = true;
        complete = false;
        handle();
        busy = false;
        length = 0;
    }
    for (Task *task = first_task; task != nullptr; task = task->next_) task->run_();
    // Before millis() begins anew, after 49 days without the bridge.
    if (told_time != 0 && millis() - told_at >= HOUR_MS) {
        told_time += HOUR_MS / 1000;
        told_at += HOUR_MS;
    }
    if (heard && millis() - heard_at > SILENCE_MS) {
        heard = false;
        mask = ALL;
    }
    if (!heard && millis() - hello_at > HELLO_MS) hello();
    push_next();
}

bool bridged() { return heard; }

uint32_t now() {
    return told_time == 0 ? 0 : told_time + (millis() - told_at) / 1000;
}

}  // namespace talk
