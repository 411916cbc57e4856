// A SharedSolar meter: counts credit, cuts off, takes jobs, forgets nothing in a power cut.
//
// The board measures and switches; this class decides. All that matters is in one state file, which
// is replaced whole: a job's credit, its number and its confirmation are saved together, before the
// confirmation is sent. What the gateway has not acknowledged is sent again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "sharedsolar/board.hpp"
#include "sharedsolar/state_file.hpp"

namespace sharedsolar {

using nlohmann::json;

const std::string MAINS = "192.168.1.200";
// Energy counted since the last save is lost in a power cut; it is saved this often.
constexpr double SAVE_S = 60;
// The gateway repeats a job for days, not for thousands of others.
constexpr size_t JOBS_KEPT = 1000;
// So many unacknowledged hourly reports are kept, then the oldest are dropped. Nothing else is.
constexpr size_t REPORTS_KEPT = 5000;

// Credit is a whole number of millionths, so that adding and counting down are exact.
using Micro = std::int64_t;
constexpr double MICRO = 1e6;

struct Limits {
    double price_per_kwh = 1000;
    double low_credit = 100;
    double power_max_w = 0;    // 0: none
    double energy_max_wh = 0;  // of a day; 0: none
    double report_every_s = 0;  // besides the hourly reports; 0: none
    // Pauses before a message that nobody acknowledged is sent again; the last one stays.
    std::vector<double> resend_s = {10, 30, 60, 300, 900, 3600};
};

struct Circuit {
    Micro credit = 0;
    bool is_on = false;
    double watthours = 0;   // since local midnight, as the time in use
    double use_time_s = 0;
    std::set<std::string> told;  // alerts that hold at present
    bool off_by_job = false;     // off until con, whatever else changes

    bool cut_off() const { return told.count("nocw") || told.count("pmax") || told.count("emax"); }
    // Neither a job nor a limit keeps it off.
    bool may_be_on() const { return credit > 0 && !off_by_job && !cut_off(); }
};

class Meter {
  public:
    Meter(Board &board, Limits limits, std::string path = "meter-state.json", Now now = system_now)
        : board_(board), limits_(limits), path_(std::move(path)), now_(std::move(now)) {
        load();
        for (const auto &cid : board_.circuits()) unswitched_.insert(cid);
        switch_pending();
        last_tick_ = last_save_ = last_report_ = now_();
    }

    Meter(const Meter &) = delete;
    Meter &operator=(const Meter &) = delete;

    ~Meter() {
        stopping_ = true;
        if (thread_.joinable()) thread_.join();
    }

    // The values of the next message of that feature that is due, its reference last; or null. A
    // message is due once, and again after growing pauses until ack().
    json next(const std::string &df_name) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (unsaved_) save();  // nothing is said that a power cut could still undo
        const double now = now_();
        for (const auto &message : outbox_) {
            Due &due = due_[message.reference];
            if (message.df_name != df_name || due.when > now) continue;
            due.when = now + limits_.resend_s.at(std::min(due.count, limits_.resend_s.size() - 1));
            ++due.count;
            json values = message.values;
            values.push_back(message.reference);
            return values;
        }
        return nullptr;
    }

    // The gateway has stored that message: forget it.
    void ack(const std::string &reference) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (forget([&](const Message &message) { return message.reference == reference; })) save();
    }

    // Carry a job out, once however often it comes, and confirm it. Throws invalid_argument, having
    // changed nothing. Kinds: cr (add credit), con, coff (switch), cping, mping (report now). What coff
    // switched off stays off until con: neither credit nor a new day switches it on.
    void job(const std::string &kind, std::int64_t job_id, const std::string &cid, double amount) {
        const std::lock_guard<std::mutex> lock(mutex_);
        static const std::set<std::string> kinds = {"cr", "con", "coff", "cping", "mping"};
        const std::string what = "job " + std::to_string(job_id) + ": ";
        if (!kinds.count(kind)) throw std::invalid_argument(what + "unknown kind " + kind);
        const auto found = circuits_.find(cid);
        Circuit *circuit = found == circuits_.end() ? nullptr : &found->second;
        if (!circuit && kind != "mping" && cid != MAINS)
            throw std::invalid_argument(what + "there is no circuit " + cid);
        if (std::find(jobs_.begin(), jobs_.end(), job_id) == jobs_.end()) {
            carry_out(what, kind, cid, circuit, amount);
            jobs_.push_back(job_id);
            if (jobs_.size() > JOBS_KEPT) jobs_.pop_front();
        }
        // One confirmation of a job at a time waits, with the present credit.
        forget([&](const Message &message) {
            return message.df_name == "JobDone-I" && message.values.at(0) == job_id;
        });
        post("JobDone-I", json::array({job_id, circuit ? int(circuit->is_on) : 1,
                                       circuit ? shown(circuit->credit) : 0.0}));
        save();
    }

    // Measure all circuits, count, cut off where a limit is passed, and report each hour.
    void tick() {
        const std::lock_guard<std::mutex> lock(mutex_);
        const double now = now_();
        const double elapsed_s = std::max(now - last_tick_, 0.0);
        last_tick_ = now;
        turn_hour(now);
        switch_pending();
        bool changed = false;
        for (auto &[cid, circuit] : circuits_) {
            try {
                const Measured measured = board_.measure(cid);
                circuit.watthours += measured.energy_wh;
                if (measured.power_w > 0) circuit.use_time_s += elapsed_s;
                circuit.credit -=
                    std::llround(measured.energy_wh * limits_.price_per_kwh / 1000 * MICRO);
                changed |= check(cid, circuit, measured.power_w);
            } catch (const std::runtime_error &error) {
                // A silent line must not stop the others.
                std::cout << "meter: " << cid << ": " << error.what() << std::endl;
            }
        }
        if (limits_.report_every_s > 0 && now - last_report_ >= limits_.report_every_s) {
            report_all(now);
            changed = true;
        }
        if (changed || now - last_save_ >= SAVE_S) save();
    }

    // Call tick() each second from now on, in a thread of its own.
    bool start() {
        thread_ = std::thread([this] {
            while (!stopping_) {
                try {
                    tick();
                } catch (const std::exception &error) {
                    std::cout << "meter: the state cannot be saved: " << error.what() << std::endl;
                }
                std::this_thread::sleep_for(std::chrono::seconds(1));
            }
        });
        return true;
    }

    Circuit circuit(const std::string &cid) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return circuits_.at(cid);
    }

  private:
    struct Message {
        std::string reference;
        std::string df_name;
        json values;
    };
    struct Due { double when = 0; size_t count = 0; };

    static double shown(Micro credit) { return std::round(double(credit) / MICRO * 100) / 100; }

    void carry_out(const std::string &what, const std::string &kind, const std::string &cid,
                   Circuit *circuit, double amount) {
        if (kind == "cr") {
            if (!circuit) throw std::invalid_argument(what + "the mains take no credit");
            if (!(amount > 0 && amount < 1e12))
                throw std::invalid_argument(what + "credit must be a number above zero");
            const Micro had = circuit->credit;
            // Credit has two decimals; a double that means 4.35 is a little less.
            circuit->credit += std::llround(amount * 100) * Micro(MICRO / 100);
            if (double(circuit->credit) > limits_.low_credit * MICRO) circuit->told.erase("lcw");
            if (had <= 0 && circuit->credit > 0) {
                circuit->told.erase("nocw");
                set(cid, *circuit, circuit->may_be_on());
            }
        } else if ((kind == "con" || kind == "coff") && circuit) {
            circuit->off_by_job = kind == "coff";
            if (kind == "con") circuit->told.erase("pmax");
            set(cid, *circuit, circuit->may_be_on());
        } else if (kind == "cping" && circuit) {
            report(cid, *circuit, now_());
        } else if (kind == "mping") {
            report_all(now_());
        }
    }

    // Alerts and cut-offs; each is told once, until its cause is gone. True where one was.
    bool check(const std::string &cid, Circuit &circuit, double power_w) {
        const auto before = count_;
        const bool was_on = circuit.is_on;
        const double credit = double(circuit.credit) / MICRO;
        if (credit > 0 && credit <= limits_.low_credit) tell(cid, circuit, "lcw");
        if (credit <= 0) tell(cid, circuit, "nocw");
        if (limits_.power_max_w > 0 && power_w > limits_.power_max_w) tell(cid, circuit, "pmax");
        if (limits_.energy_max_wh > 0 && circuit.watthours > limits_.energy_max_wh)
            tell(cid, circuit, "emax");
        if (circuit.is_on && circuit.cut_off()) set(cid, circuit, false);
        return count_ != before || circuit.is_on != was_on;
    }

    void tell(const std::string &cid, Circuit &circuit, const std::string &code) {
        if (circuit.told.insert(code).second) post("Alert-I", json::array({cid, code}));
    }

    void set(const std::string &cid, Circuit &circuit, bool on) {
        circuit.is_on = on;
        unswitched_.insert(cid);
        switch_pending();
    }

    // Set relays as they should be; one that fails is tried again with the next tick.
    void switch_pending() {
        for (auto it = unswitched_.begin(); it != unswitched_.end();) {
            try {
                board_.switch_to(*it, circuits_.at(*it).is_on);
                it = unswitched_.erase(it);
            } catch (const std::runtime_error &error) {
                std::cout << "meter: " << *it << ": " << error.what() << std::endl;
                ++it;
            }
        }
    }

    static std::tm local(double now) {
        const auto seconds = static_cast<std::time_t>(now);
        std::tm parts{};
        localtime_r(&seconds, &parts);
        return parts;
    }

    static std::string text(const std::tm &parts, const char *format) {
        char buffer[32];
        std::strftime(buffer, sizeof buffer, format, &parts);
        return buffer;
    }

    void turn_hour(double now) {
        const std::tm parts = local(now);
        const std::string hour = text(parts, "%Y%m%d%H");
        if (hour == hour_) return;
        const bool new_day = hour_.substr(0, 8) != hour.substr(0, 8);
        // The last report of a day bears that day's date, as its energy is that day's.
        const double start = now - parts.tm_min * 60 - parts.tm_sec - (new_day ? 1 : 0);
        if (!hour_.empty()) report_all(start);
        for (auto &[cid, circuit] : circuits_) {
            if (!new_day) break;
            circuit.watthours = circuit.use_time_s = 0;
            if (circuit.told.erase("emax")) set(cid, circuit, circuit.may_be_on());
        }
        hour_ = hour;
        save();
    }

    void report_all(double when) {
        last_report_ = now_();
        for (const auto &[cid, circuit] : circuits_) report(cid, circuit, when);
        try {
            const auto pcu = board_.pcu();
            if (!pcu) return;
            json values = json::array({text(local(when), "%Y%m%d%H%M%S")});
            for (const auto &value : *pcu) values.push_back(value ? json(*value) : json());
            post("PcuLog-I", std::move(values));
        } catch (const std::runtime_error &error) {
            std::cout << "meter: PCU: " << error.what() << std::endl;
        }
    }

    void report(const std::string &cid, const Circuit &circuit, double when) {
        post("PrimaryLog-I", json::array({cid, text(local(when), "%Y%m%d%H%M%S"),
                                          int(circuit.is_on), std::round(circuit.watthours * 10) / 10,
                                          std::int64_t(circuit.use_time_s), shown(circuit.credit)}));
    }

    void post(const std::string &df_name, json values) {
        unsaved_ = true;
        outbox_.push_back({origin_ + "-" + std::to_string(++count_), df_name, std::move(values)});
        const auto is_report = [](const Message &message) {
            return message.df_name == "PrimaryLog-I" || message.df_name == "PcuLog-I";
        };
        if (static_cast<size_t>(std::count_if(outbox_.begin(), outbox_.end(), is_report)) >
            REPORTS_KEPT) {
            const auto oldest = std::find_if(outbox_.begin(), outbox_.end(), is_report);
            due_.erase(oldest->reference);
            outbox_.erase(oldest);
        }
    }

    template <typename Test> bool forget(Test test) {
        const auto size = outbox_.size();
        for (auto it = outbox_.begin(); it != outbox_.end();) {
            if (test(*it)) {
                due_.erase(it->reference);
                it = outbox_.erase(it);
            } else {
                ++it;
            }
        }
        return outbox_.size() != size;
    }

    // The state of the last run. A file that cannot be read stops the meter: it is money.
    void load() {
        for (const auto &cid : board_.circuits()) circuits_[cid] = {};
        std::ifstream file(path_);
        if (!file) {
            if (access(path_.c_str(), F_OK) == 0)
                throw std::runtime_error(path_ + " cannot be read");
            // References stay unlike any of before, even where the state file was removed.
            origin_ = std::to_string(std::random_device{}());
            return;
        }
        const json state = json::parse(file);
        origin_ = state.at("origin");
        count_ = state.at("count");
        hour_ = state.at("hour");
        jobs_ = state.at("jobs").get<std::deque<std::int64_t>>();
        for (const auto &each : state.at("outbox"))
            outbox_.push_back({each.at(0), each.at(1), each.at(2)});
        for (const auto &[cid, saved] : state.at("circuits").items()) {
            if (!circuits_.count(cid)) {
                others_[cid] = saved;  // a circuit that the board has lost for now keeps its credit
                continue;
            }
            Circuit &circuit = circuits_[cid];
            circuit = {saved.at("credit_micro"), saved.at("is_on"), saved.at("watthours"),
                       saved.at("use_time_s"), saved.at("told")};
            // A state of before this was written down: off, with credit and no alert, was a job.
            circuit.off_by_job = saved.value("off_by_job", !circuit.is_on && circuit.may_be_on());
        }
    }

    void save() {
        unsaved_ = true;
        json circuits = others_;
        for (const auto &[cid, circuit] : circuits_)
            circuits[cid] = {{"credit_micro", circuit.credit},
                             {"is_on", circuit.is_on},
                             {"watthours", circuit.watthours},
                             {"use_time_s", circuit.use_time_s},
                             {"told", circuit.told},
                             {"off_by_job", circuit.off_by_job}};
        json outbox = json::array();
        for (const auto &message : outbox_)
            outbox.push_back(json::array({message.reference, message.df_name, message.values}));
        const json state = {{"origin", origin_}, {"count", count_},   {"hour", hour_},
                            {"jobs", jobs_},     {"outbox", outbox},  {"circuits", circuits}};
        write_whole(path_, state.dump());
        unsaved_ = false;
        last_save_ = now_();
    }

    Board &board_;
    Limits limits_;
    std::string path_;
    Now now_;
    std::mutex mutex_;  // guards all that follows
    std::map<std::string, Circuit> circuits_;
    json others_ = json::object();
    std::set<std::string> unswitched_;
    std::deque<std::int64_t> jobs_;
    std::deque<Message> outbox_;
    std::map<std::string, Due> due_;
    std::string origin_;
    std::string hour_;
    std::int64_t count_ = 0;
    bool unsaved_ = false;
    double last_tick_ = 0;
    double last_save_ = 0;
    double last_report_ = 0;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace sharedsolar
