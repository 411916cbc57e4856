// A meter's messages as the values of its device features.
#pragma once

#include "store.h"

namespace sharedsolar {

// Of a circuit. BY_JOB: switched off by a job, and off until con, whatever else changes.
enum Flag : uint8_t { ON = 1, LCW = 2, NOCW = 4, PMAX = 8, EMAX = 16, BY_JOB = 32 };

const uint8_t REFERENCE = 20;

// NN of 192.168.1.2NN; -1 for another text.
inline int8_t circuit_parse(const char *cid) {
    if (strlen(cid) != 13 || strncmp(cid, "192.168.1.2", 11) != 0) return -1;
    if (cid[11] < '0' || cid[11] > '9' || cid[12] < '0' || cid[12] > '9') return -1;
    return static_cast<int8_t>((cid[11] - '0') * 10 + cid[12] - '0');
}

inline char *two(char *at, uint8_t value) {
    *at++ = static_cast<char>('0' + value / 10);
    *at++ = static_cast<char>('0' + value % 10);
    *at = 0;
    return at;
}

// <origin>-<number>, at most 19 characters.
inline void reference_write(uint32_t origin, uint32_t number, char *text) {
    for (int8_t shift = 28; shift >= 0; shift -= 4)
        *text++ = "0123456789abcdef"[(origin >> shift) & 0xF];
    *text++ = '-';
    ultoa(number, text, 10);
}

// yyyymmddHHMMSS of seconds since 2000. Every fourth year is a leap year until 2100.
inline void time_write(uint32_t time, char *text) {
    uint16_t day = static_cast<uint16_t>(time / 86400);
    const uint32_t second = time % 86400;
    const uint8_t fours = static_cast<uint8_t>(day / 1461);
    day = static_cast<uint16_t>(day % 1461);
    uint8_t year = 0;  // of four, the first one a leap year
    while (day >= (year == 0 ? 366 : 365)) day = static_cast<uint16_t>(day - (year++ == 0 ? 366 : 365));
    uint8_t month = 1;
    for (;; ++month) {
        const uint8_t days = month == 2 ? (year == 0 ? 29 : 28)
                             : month == 4 || month == 6 || month == 9 || month == 11 ? 30
                                                                                     : 31;
        if (day < days) break;
        day = static_cast<uint16_t>(day - days);
    }
    *text++ = '2';
    *text++ = '0';
    text = two(text, static_cast<uint8_t>(fours * 4 + year));
    text = two(text, month);
    text = two(text, static_cast<uint8_t>(day + 1));
    text = two(text, static_cast<uint8_t>(second / 3600));
    text = two(text, static_cast<uint8_t>(second / 60 % 60));
    two(text, static_cast<uint8_t>(second % 60));
}

// The values of a message, its reference last.
inline void message_write(const Message &message, uint32_t origin, talk::Values &values) {
    char text[REFERENCE];
    if (message.kind != JOB_DONE) {
        strcpy(text, "192.168.1.2");
        two(text + 11, message.circuit);
        values.add(text);
    }
    if (message.kind == PRIMARY_LOG) {
        time_write(message.what, text);
        values.add(text);
        values.add(static_cast<unsigned long>(message.status));
        values.add_fixed(static_cast<int32_t>(message.energy_dwh), 1);
        values.add(static_cast<unsigned long>(message.use_s));
        values.add_fixed(message.credit_cents, 2);
    } else if (message.kind == ALERT) {
        values.add(message.what == LCW    ? F("lcw")
                   : message.what == NOCW ? F("nocw")
                   : message.what == PMAX ? F("pmax")
                                          : F("emax"));
    } else {
        values.add(static_cast<unsigned long>(message.what));
        values.add(static_cast<unsigned long>(message.status));
        values.add_fixed(message.credit_cents, 2);
    }
    reference_write(origin, message.number, text);
    values.add(text);
}

}  // namespace sharedsolar
