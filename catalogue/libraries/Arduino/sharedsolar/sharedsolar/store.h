// What a meter keeps over a power cut, in the EEPROM: its state, the jobs that it did, its messages.
//
// The commit of a state decides: a message or job that was written for it, and not committed, is void
// after a power cut, whichever byte that cut in two. Layout: STATES states one after the other, the
// newest whole one counts; then a ring of job numbers; then messages. The first byte of a state and a
// message is written last, and says that the rest is whole.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVR__
#include <avr/eeprom.h>
#include <avr/io.h>
#endif

#include "board.h"

namespace sharedsolar {

const uint8_t MOST_CIRCUITS = 4;

struct Circuit {
    uint8_t number = 0;  // the last two digits of 192.168.1.2NN; 0 is a free place
    uint8_t flags = 0;
    int64_t credit = 0;      // in 1e-8: thousandths of a watt-hour at a price in hundredths are exact
    uint32_t energy_mwh = 0; // since local midnight, as the time in use
    uint32_t use_s = 0;
} __attribute__((packed));

struct State {
    uint8_t mark = 0;
    uint32_t sequence = 0;
    uint32_t origin = 0;  // references begin with it
    uint32_t count = 0;   // of messages
    uint32_t jobs = 0;    // that were done
    uint32_t hour = 0;    // that was reported last, since 2000; 0: none
    Circuit circuits[MOST_CIRCUITS];
    uint16_t crc = 0;
} __attribute__((packed));

enum Kind : uint8_t { NO_MESSAGE = 0, PRIMARY_LOG = 1, ALERT = 2, JOB_DONE = 3 };

struct Message {
    uint8_t kind = NO_MESSAGE;
    uint8_t circuit = 0;
    uint32_t number = 0;        // counts up from 1
    uint32_t what = 0;          // time, alert, job
    uint32_t energy_dwh = 0;    // tenths of a watt-hour
    uint32_t use_s : 24;
    uint32_t status : 8;
    int32_t credit_cents = 0;
    uint16_t crc = 0;
    Message() : use_s(0), status(0) {}
} __attribute__((packed));

class Store {
  public:
#ifdef __AVR__
    static const uint16_t SIZE = E2END + 1;
#else
    static const uint16_t SIZE = 1024;
#endif
    // A cell of the EEPROM takes 100,000 writes: with a state each 10 minutes, three places last for
    // more than five years.
    static const uint8_t STATES = 3;
    // One place less is remembered: the next one may be half written.
    static const uint8_t JOBS = 40;
    static const uint16_t JOBS_AT = STATES * sizeof(State);
    static const uint16_t MESSAGES_AT = JOBS_AT + JOBS * sizeof(uint32_t);
    static const uint8_t MESSAGES = (SIZE - MESSAGES_AT) / sizeof(Message) < 120
                                        ? (SIZE - MESSAGES_AT) / sizeof(Message)
                                        : 120;

    enum Found : uint8_t { NEW, GOOD, DAMAGED };

    explicit Store(Board &board) : board_(board) {}

    // The newest whole state, and void messages cleared away. DAMAGED where there are states, and none
    // is whole.
    Found load(State &state) {
        Found found = NEW;
        for (uint8_t place = 0; place < STATES; ++place) {
            State each;
            read(place * sizeof each, &each, sizeof each);
            if (each.mark != MARK) continue;
            const bool whole = crc_of(&each, offsetof(State, crc)) == each.crc;
            if (found == NEW && !whole) found = DAMAGED;
            if (!whole || (found == GOOD && each.sequence < state.sequence)) continue;
            state = each;
            found = GOOD;
        }
        for (uint8_t place = 0; place < MESSAGES; ++place) {
            const Message message = message_at(place);
            const bool whole = message.kind >= PRIMARY_LOG && message.kind <= JOB_DONE &&
                               crc_of(&message, offsetof(Message, crc)) == message.crc;
            if (message.kind != NO_MESSAGE &&
                (!whole || found != GOOD || message.number > state.count))
                message_drop(place);
        }
        return found;
    }

    // Everything since the last commit is now so.
    void commit(State &state) {
        ++state.sequence;
        state.mark = MARK;
        state.crc = crc_of(&state, offsetof(State, crc));
        const uint16_t at = static_cast<uint16_t>(state.sequence % STATES * sizeof state);
        put(at, 0);
        write(at + 1, reinterpret_cast<uint8_t *>(&state) + 1, sizeof state - 1);
        put(at, MARK);
    }

    bool job_known(const State &state, uint32_t job) const {
        for (uint32_t i = 1; i < JOBS && i <= state.jobs; ++i) {
            uint32_t each;
            read(job_at(state.jobs - i), &each, sizeof each);
            if (each == job) return true;
        }
        return false;
    }

    // Counts with the next commit.
    void job_add(State &state, uint32_t job) {
        write(job_at(state.jobs), &job, sizeof job);
        ++state.jobs;
    }

    uint8_t kind_at(uint8_t place) const { return get(message_place(place)); }

    Message message_at(uint8_t place) const {
        Message message;
        read(message_place(place), &message, sizeof message);
        return message;
    }

    // Into a free place; counts with the next commit.
    void message_put(uint8_t place, Message message) {
        message.crc = crc_of(&message, offsetof(Message, crc));
        const uint16_t at = message_place(place);
        write(at + 1, reinterpret_cast<uint8_t *>(&message) + 1, sizeof message - 1);
        put(at, message.kind);
    }

    void message_drop(uint8_t place) { put(message_place(place), NO_MESSAGE); }

  private:
    static const uint8_t MARK = 0xA7;

    static uint16_t message_place(uint8_t place) {
        return static_cast<uint16_t>(MESSAGES_AT + place * sizeof(Message));
    }

    static uint16_t job_at(uint32_t number) {
        return static_cast<uint16_t>(JOBS_AT + number % JOBS * sizeof(uint32_t));
    }

    static uint16_t crc_of(const void *data, size_t size) {
        const uint8_t *bytes = static_cast<const uint8_t *>(data);
        uint16_t crc = 0xFFFF;
        for (size_t i = 0; i < size; ++i) {
            crc ^= static_cast<uint16_t>(bytes[i]) << 8;
            for (uint8_t bit = 0; bit < 8; ++bit)
                crc = static_cast<uint16_t>((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0));
        }
        return crc;
    }

    void read(uint16_t at, void *data, size_t size) const {
        uint8_t *bytes = static_cast<uint8_t *>(data);
        for (size_t i = 0; i < size; ++i) bytes[i] = get(static_cast<uint16_t>(at + i));
    }

    void write(uint16_t at, const void *data, size_t size) {
        const uint8_t *bytes = static_cast<const uint8_t *>(data);
        for (size_t i = 0; i < size; ++i) put(static_cast<uint16_t>(at + i), bytes[i]);
    }

#ifdef __AVR__
    static uint8_t get(uint16_t at) { return eeprom_read_byte(reinterpret_cast<uint8_t *>(at)); }

    // A write takes 3.4 ms, and many of them take long enough to miss a pulse or a line.
    void put(uint16_t at, uint8_t byte) {
        eeprom_update_byte(reinterpret_cast<uint8_t *>(at), byte);
        while (!eeprom_is_ready()) {
            board_.poll();
            talk::take();
        }
    }
#else
    // Elsewhere whoever tests it says what an EEPROM is.
    static uint8_t get(uint16_t at);
    static void put(uint16_t at, uint8_t byte);
#endif

    Board &board_;
};

}  // namespace sharedsolar
