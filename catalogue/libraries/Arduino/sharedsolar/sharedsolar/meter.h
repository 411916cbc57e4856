// A SharedSolar meter: counts credit, cuts off, takes jobs, forgets nothing in a power cut.
//
// The board measures and switches; this class decides. A job's credit, its number and its confirmation
// become true together (store.h), before the confirmation is sent. What the gateway has not
// acknowledged is sent again. Energy of the last ten minutes is lost in a power cut.
#pragma once

#include "texts.h"

namespace sharedsolar {

// Pauses before a message is sent again, in seconds; the last one stays.
const uint16_t RESEND_S[] = {10, 30, 60, 300, 900, 3600};
const uint32_t SAVE_S = 600;
const int64_t CENT = 1000000;
// What a report can say in hundredths.
const int64_t MOST_CREDIT = 2147483647LL * CENT;

struct Limits {
    double price_per_kwh;
    double low_credit;
    uint16_t power_max_w;    // 0: none
    uint32_t energy_max_wh;  // of a day; 0: none
};

class Meter {
  public:
    Meter(Board &board, const Limits &limits)
        : board_(board), store_(board),
          price_cents_(static_cast<uint32_t>(limits.price_per_kwh * 100 + 0.5)),
          low_credit_(static_cast<int64_t>(limits.low_credit * 100 + 0.5) * CENT),
          power_max_w_(limits.power_max_w), energy_max_mwh_(limits.energy_max_wh * 1000) {}

    // Measure each second, count, cut off where a limit is passed, and report each hour.
    void run() {
        board_.poll();
        const uint32_t passed_s = (millis() - ticked_ms_) / 1000;
        ticked_ms_ += passed_s * 1000;
        uptime_s_ += passed_s;
        if (!ready_ && !start()) return;
        if (passed_s > 0) tick(passed_s);
    }

    // The next message of that kind that is due, its reference last. A message is due once, and again
    // after growing pauses until ack().
    void next(Kind kind, talk::Values &values) {
        if (!ready_ || !talk::bridged()) return;
        uint8_t chosen = Store::MESSAGES;
        uint32_t oldest = 0;
        for (uint8_t place = 0; place < Store::MESSAGES; ++place) {
            if (store_.kind_at(place) != kind || due_[place].when > uptime_s_) continue;
            const uint32_t number = store_.message_at(place).number;
            if (chosen != Store::MESSAGES && number > oldest) continue;
            chosen = place;
            oldest = number;
        }
        if (chosen == Store::MESSAGES) return;
        Due &due = due_[chosen];
        due.when = uptime_s_ + RESEND_S[due.count];
        if (due.count < sizeof RESEND_S / sizeof *RESEND_S - 1) ++due.count;
        message_write(store_.message_at(chosen), state_.origin, values);
    }

    // The gateway has stored that message: forget it.
    void ack(const char *reference) {
        for (uint8_t place = 0; ready_ && place < Store::MESSAGES; ++place) {
            if (store_.kind_at(place) == NO_MESSAGE) continue;
            char own[REFERENCE];
            reference_write(state_.origin, store_.message_at(place).number, own);
            if (strcmp(own, reference) == 0) drop(place);
        }
    }

    // Carry a job out, once however often it comes, and confirm it: kind, number, circuit, amount.
    // Kinds: cr (add credit), con, coff (switch), cping, mping (report now). What coff switched off stays
    // off until con: neither credit nor a new day switches it on. What is wrong is said, and changes
    // nothing.
    void job(const talk::Data &data) {
        int32_t number = 0;
        if (!ready_ || !data.fixed(1, 0, number) || number < 0) {
            refuse(data, ready_ ? F("it has no number") : F("the meter has not started"));
            return;
        }
        const char *kind = data.text(0);
        const int8_t circuit_number = circuit_parse(data.text(2));
        Circuit *circuit = circuit_number > 0 ? find(circuit_number) : nullptr;
        const uint8_t what = kind_parse(kind);
        if (what == UNKNOWN) {
            refuse(data, F("its kind is unknown"));
            return;
        }
        if (circuit == nullptr && what != MPING && circuit_number != 0) {
            refuse(data, F("there is no such circuit"));
            return;
        }
        const uint32_t job_number = static_cast<uint32_t>(number);
        if (!store_.job_known(state_, job_number) && !confirmed(job_number)) {
            if (!carry_out(data, what, circuit)) return;
            store_.job_add(state_, job_number);
        }
        confirm(job_number, circuit);
        save();
    }

  private:
    enum Job : uint8_t { UNKNOWN, CR, CON, COFF, CPING, MPING };
    struct Due {
        uint32_t when = 0;
        uint8_t count = 0;
    };

    // Called until it succeeds. A state that cannot be read stops the meter: it is money.
    bool start() {
        if (!loaded_) {
            loaded_ = true;
            board_.begin();
            found_ = store_.load(state_);
            if (found_ == Store::DAMAGED) {
                talk::Log log;
                log.print(F("meter: the EEPROM is damaged; the meter does not start"));
            }
        }
        if (found_ == Store::DAMAGED) return false;
        if (found_ == Store::NEW) {
            // References must be unlike those of before the EEPROM was cleared.
            if (talk::now() == 0) return false;
            state_ = State();
            state_.origin = talk::now() ^ static_cast<uint32_t>(analogRead(A0)) << 22 ^ micros();
        }
        for (uint8_t i = 0; i < board_.size(); ++i) {
            if (find(static_cast<int8_t>(board_.number(i))) != nullptr) continue;
            // The credit of a circuit that the board has lost stays, while there is a free place.
            Circuit *free = find(0);
            if (free == nullptr) {
                talk::Log log;
                log.print(F("meter: there are too many circuits; clear the EEPROM"));
                found_ = Store::DAMAGED;
                return false;
            }
            free->number = board_.number(i);
        }
        // A state of before BY_JOB: off, though there is credit and no alert, was a job.
        for (Circuit &each : state_.circuits)
            if (!(each.flags & ON) && may_be_on(each)) each.flags |= BY_JOB;
        ready_ = true;
        for (uint8_t i = 0; i < board_.size(); ++i)
            board_.switch_to(i, find(static_cast<int8_t>(board_.number(i)))->flags & ON);
        save();
        return true;
    }

    void tick(uint32_t passed_s) {
        turn_hour();
        bool changed = false;
        for (uint8_t i = 0; i < board_.size(); ++i) {
            Circuit &each = *find(static_cast<int8_t>(board_.number(i)));
            const Measured measured = board_.measure(i);
            each.energy_mwh += measured.energy_mwh;
            if (measured.power_w > 0) each.use_s += passed_s;
            unsaved_ |= measured.energy_mwh > 0 || measured.power_w > 0;
            each.credit -= static_cast<int64_t>(measured.energy_mwh) * price_cents_;
            changed |= check(each, measured.power_w);
        }
        if (changed || (unsaved_ && uptime_s_ - saved_s_ >= SAVE_S)) save();
    }

    // Alerts and cut-offs; each is told once, until its cause is gone. True where one was.
    bool check(Circuit &circuit, uint16_t power_w) {
        const uint8_t before = circuit.flags;
        if (circuit.credit > 0 && circuit.credit <= low_credit_) tell(circuit, LCW);
        if (circuit.credit <= 0) tell(circuit, NOCW);
        if (power_max_w_ > 0 && power_w > power_max_w_) tell(circuit, PMAX);
        if (energy_max_mwh_ > 0 && circuit.energy_mwh > energy_max_mwh_) tell(circuit, EMAX);
        if ((circuit.flags & ON) && (circuit.flags & (NOCW | PMAX | EMAX))) set(circuit, false);
        return circuit.flags != before;
    }

    void tell(Circuit &circuit, Flag flag) {
        if (circuit.flags & flag) return;
        circuit.flags |= flag;
        Message message;
        message.kind = ALERT;
        message.circuit = circuit.number;
        message.what = flag;
        post(message);
    }

    // Neither a job nor a limit keeps it off.
    static bool may_be_on(const Circuit &circuit) {
        return circuit.credit > 0 && !(circuit.flags & (BY_JOB | NOCW | PMAX | EMAX));
    }

    void set(Circuit &circuit, bool on) {
        circuit.flags = static_cast<uint8_t>(on ? circuit.flags | ON : circuit.flags & ~ON);
        for (uint8_t i = 0; i < board_.size(); ++i)
            if (board_.number(i) == circuit.number) board_.switch_to(i, on);
    }

    // False where it is refused, having changed nothing.
    bool carry_out(const talk::Data &data, uint8_t what, Circuit *circuit) {
        if (what == CR) {
            int32_t cents = 0;
            if (circuit == nullptr || !data.fixed(3, 2, cents) || cents <= 0 ||
                circuit->credit + cents * CENT > MOST_CREDIT) {
                refuse(data, circuit == nullptr ? F("the mains take no credit")
                                                : F("this credit cannot be added"));
                return false;
            }
            const bool was_empty = circuit->credit <= 0;
            circuit->credit += cents * CENT;
            if (circuit->credit > low_credit_) circuit->flags &= static_cast<uint8_t>(~LCW);
            if (was_empty && circuit->credit > 0) {
                circuit->flags &= static_cast<uint8_t>(~NOCW);
                set(*circuit, may_be_on(*circuit));
            }
        } else if ((what == CON || what == COFF) && circuit != nullptr) {
            if (what == CON)
                circuit->flags &= static_cast<uint8_t>(~(PMAX | BY_JOB));
            else
                circuit->flags |= BY_JOB;
            set(*circuit, may_be_on(*circuit));
        } else if (what == CPING && circuit != nullptr) {
            report(*circuit, talk::now());
        } else if (what == MPING) {
            for (uint8_t i = 0; i < board_.size(); ++i)
                report(*find(static_cast<int8_t>(board_.number(i))), talk::now());
        }
        return true;
    }

    // One confirmation of a job at a time waits, with the present credit.
    void confirm(uint32_t number, const Circuit *circuit) {
        for (uint8_t place = 0; place < Store::MESSAGES; ++place)
            if (confirms(place, number)) drop(place);
        Message message;
        message.kind = JOB_DONE;
        message.what = number;
        message.status = circuit != nullptr ? (circuit->flags & ON) != 0 : 1;
        message.credit_cents = circuit != nullptr ? cents(circuit->credit) : 0;
        post(message);
    }

    bool confirms(uint8_t place, uint32_t number) const {
        return store_.kind_at(place) == JOB_DONE && store_.message_at(place).what == number;
    }

    bool confirmed(uint32_t number) const {
        for (uint8_t place = 0; place < Store::MESSAGES; ++place)
            if (confirms(place, number)) return true;
        return false;
    }

    void turn_hour() {
        const uint32_t now = talk::now();
        const uint32_t hour = now / 3600;
        // A clock that was set back a little does not repeat a report.
        if (now == 0 || hour == state_.hour || (hour < state_.hour && state_.hour - hour < 2)) return;
        const bool new_day = hour / 24 != state_.hour / 24;
        for (uint8_t i = 0; i < board_.size(); ++i) {
            Circuit &each = *find(static_cast<int8_t>(board_.number(i)));
            // The last report of a day bears that day's date, as its energy is that day's.
            if (state_.hour != 0) report(each, hour * 3600 - (new_day ? 1 : 0));
            if (!new_day) continue;
            each.energy_mwh = each.use_s = 0;
            if (!(each.flags & EMAX)) continue;
            each.flags &= static_cast<uint8_t>(~EMAX);
            set(each, may_be_on(each));
        }
        state_.hour = hour;
        save();
    }

    void report(const Circuit &circuit, uint32_t time) {
        Message message;
        message.kind = PRIMARY_LOG;
        message.circuit = circuit.number;
        message.what = time;
        message.status = (circuit.flags & ON) != 0;
        message.energy_dwh = (circuit.energy_mwh + 50) / 100;
        message.use_s = circuit.use_s;
        message.credit_cents = cents(circuit.credit);
        post(message);
    }

    // Keep a message; it counts with the next save(). Where all places are taken the oldest report
    // makes way, else a confirmation, which the gateway asks for again, else the oldest alert.
    void post(Message &message) {
        message.number = ++state_.count;
        uint8_t place = static_cast<uint8_t>(message.number % Store::MESSAGES);
        uint8_t tried = 0;
        while (store_.kind_at(place) != NO_MESSAGE && ++tried <= Store::MESSAGES)
            place = static_cast<uint8_t>((place + 1) % Store::MESSAGES);
        if (tried > Store::MESSAGES) {
            place = oldest();
            drop(place);
        }
        store_.message_put(place, message);
        due_[place] = Due();
    }

    uint8_t oldest() const {
        const Kind order[] = {PRIMARY_LOG, JOB_DONE, ALERT};
        for (const Kind kind : order) {
            uint8_t chosen = Store::MESSAGES;
            uint32_t least = 0;
            for (uint8_t place = 0; place < Store::MESSAGES; ++place) {
                if (store_.kind_at(place) != kind) continue;
                const uint32_t number = store_.message_at(place).number;
                if (chosen != Store::MESSAGES && number > least) continue;
                chosen = place;
                least = number;
            }
            if (chosen != Store::MESSAGES) return chosen;
        }
        return 0;
    }

    void drop(uint8_t place) {
        store_.message_drop(place);
        due_[place] = Due();
    }

    void save() {
        store_.commit(state_);
        saved_s_ = uptime_s_;
        unsaved_ = false;
    }

    // Rounded; a credit is never beyond what an int32_t can say.
    static int32_t cents(int64_t credit) {
        return static_cast<int32_t>((credit < 0 ? credit - CENT / 2 : credit + CENT / 2) / CENT);
    }

    Circuit *find(int8_t number) {
        for (Circuit &each : state_.circuits)
            if (each.number == number) return &each;
        return nullptr;
    }

    static uint8_t kind_parse(const char *kind) {
        if (strcmp(kind, "cr") == 0) return CR;
        if (strcmp(kind, "con") == 0) return CON;
        if (strcmp(kind, "coff") == 0) return COFF;
        if (strcmp(kind, "cping") == 0) return CPING;
        return strcmp(kind, "mping") == 0 ? MPING : UNKNOWN;
    }

    static void refuse(const talk::Data &data, const __FlashStringHelper *cause) {
        talk::Log log;
        log.print(F("job "));
        log.print(data.integer(1));
        log.print(F(": "));
        log.print(cause);
    }

    Board &board_;
    Store store_;
    const uint32_t price_cents_;  // hundredths for a kWh
    const int64_t low_credit_;
    const uint16_t power_max_w_;
    const uint32_t energy_max_mwh_;
    State state_;
    Due due_[Store::MESSAGES];
    uint32_t uptime_s_ = 0;
    uint32_t saved_s_ = 0;
    uint32_t ticked_ms_ = 0;
    Store::Found found_ = Store::NEW;
    bool loaded_ = false;
    bool ready_ = false;
    bool unsaved_ = false;  // energy that was counted since
};

}  // namespace sharedsolar
