// The Arduino meter without an Arduino: credit, limits, jobs, and a power cut at every byte of its EEPROM.

#include <vector>

#include "library/sharedsolar/meter.h"

using sharedsolar::Meter;
using sharedsolar::Store;

uint32_t now_ms = 0;
uint8_t pins[20];

namespace {

// 2026-11-23 10:00:00, in seconds since 2000.
const uint32_t START = 848743200;
uint32_t time_at_start = START;
std::string said;

struct PowerCut {};
uint8_t eeprom[Store::SIZE];
long writes_left = -1;  // -1: no cut
bool torn = false;
bool there = true;  // the bridge

void must(bool good, const std::string &what) {
    if (good) return;
    std::cerr << "not so: " << what << std::endl;
    std::exit(1);
}

void same(const std::string &got, const std::string &wanted, const std::string &what) {
    if (got != wanted) std::cerr << "got    " << got << "\nwanted " << wanted << std::endl;
    must(got == wanted, what);
}

// A message without its reference, which goes to last.
std::string last;
std::string next(Meter &meter, sharedsolar::Kind kind) {
    char buffer[160];
    talk::Values values(buffer, sizeof buffer);
    meter.next(kind, values);
    must(!values.overfull(), "each message fits in a line");
    if (values.empty()) return "";
    const std::string text = values.finish();
    const size_t comma = text.rfind(",\"");
    last = text.substr(comma + 2, text.size() - comma - 4);
    return text.substr(0, comma) + "]";
}

std::string all(Meter &meter, sharedsolar::Kind kind) {
    std::string found;
    for (std::string each; !(each = next(meter, kind)).empty(); meter.ack(last.c_str())) found += each;
    return found;
}

void job(Meter &meter, const std::string &list) {
    std::string text = list;
    const talk::Data data(&text[0]);
    must(data.valid(), list);
    meter.job(data);
}

void pass(Meter &meter, uint32_t seconds) {
    for (uint32_t i = 0; i < seconds; ++i) {
        now_ms += 1000;
        meter.run();
    }
}

struct World {
    explicit World(uint16_t load_w, sharedsolar::Limits limits = {1000, 10, 0, 0})
        : board(1, load_w), meter(board, limits) {
        // As after a power cut: the board's own clock begins anew.
        time_at_start += now_ms / 1000;
        now_ms = 0;
        meter.run();
    }
    sharedsolar::SimulatedBoard board;
    Meter meter;
};

void fresh() {
    std::memset(eeprom, 0xFF, sizeof eeprom);
    now_ms = 0;
    time_at_start = START;
    said.clear();
}

void credit() {
    fresh();
    World world(100);
    Meter &meter = world.meter;
    for (int i = 0; i < 3; ++i) job(meter, R"(["cr",1,"192.168.1.201",4.35])");
    same(all(meter, sharedsolar::JOB_DONE), "[1,1,4.35]", "one job, one confirmation");
    for (const char *bad :
         {R"(["sell",99,"192.168.1.201",1])", R"(["con",99,"x",0])", R"(["con",99,"192.168.1.299",0])",
          R"(["cr",99,"192.168.1.201",-1])", R"(["cr",99,"192.168.1.201",null])",
          R"(["cr",99,"192.168.1.201",0.001])", R"(["cr",99,"192.168.1.201",99999999999])",
          R"(["cr",99,"192.168.1.200",1])", R"(["cr","x","192.168.1.201",1])", R"([])"})
        job(meter, bad);
    same(all(meter, sharedsolar::JOB_DONE), "", "what is refused is not confirmed");
    job(meter, R"(["cr",2,"192.168.1.201",45.65])");
    same(all(meter, sharedsolar::JOB_DONE), "[2,1,50.00]", "bad jobs change nothing");
    pass(meter, 900);  // 100 W for a quarter of an hour at 1 a watt-hour
    job(meter, R"(["coff",3,"192.168.1.201",0])");
    same(all(meter, sharedsolar::JOB_DONE), "[3,0,25.00]", "what was used is paid, to the cent");
    pass(meter, 900);
    job(meter, R"(["con",4,"192.168.1.201",0])");
    same(all(meter, sharedsolar::JOB_DONE), "[4,1,25.00]", "off: nothing is used");
    all(meter, sharedsolar::ALERT);
    pass(meter, 600);
    same(all(meter, sharedsolar::ALERT), "[\"192.168.1.201\",\"lcw\"]", "low credit, told once");
    pass(meter, 600);
    same(all(meter, sharedsolar::ALERT), "[\"192.168.1.201\",\"nocw\"]", "no credit");
    job(meter, R"(["con",5,"192.168.1.201",0])");
    same(all(meter, sharedsolar::JOB_DONE).substr(0, 5), "[5,0,", "without credit it stays off");
    job(meter, R"(["cr",6,"192.168.1.201",100])");
    same(all(meter, sharedsolar::JOB_DONE).substr(0, 5), "[6,1,", "credit switches it on");
}

void limits() {
    fresh();
    World world(200, {1000, 10, 150, 120});
    Meter &meter = world.meter;
    job(meter, R"(["cr",1,"192.168.1.201",10000])");
    all(meter, sharedsolar::ALERT);
    pass(meter, 60);
    same(all(meter, sharedsolar::ALERT), "[\"192.168.1.201\",\"pmax\"]", "too much power");
    world.board.load_set(140);
    job(meter, R"(["con",2,"192.168.1.201",0])");
    pass(meter, 3500);
    same(all(meter, sharedsolar::ALERT), "[\"192.168.1.201\",\"emax\"]", "too much energy");
    job(meter, R"(["con",3,"192.168.1.201",0])");
    pass(meter, 60);
    same(all(meter, sharedsolar::JOB_DONE).substr(0, 32), "[1,1,10000.00][2,1,9999.95][3,0,", "off");
    world.board.load_set(1);
    pass(meter, 13 * 3600);
    job(meter, R"(["cping",4,"192.168.1.201",0])");
    std::string reports = all(meter, sharedsolar::PRIMARY_LOG);
    must(reports.find("\"20261123235959\",0,120.0") != std::string::npos, "the day's last: " + reports);
    must(reports.find("\"20261124000000\"") == std::string::npos, "midnight has no report");
    must(reports.rfind("\",1,0.") > reports.size() - 40, "on again after midnight: " + reports);
}

// The confirmation of a job, by a meter that had no power before.
std::string after_power(const std::string &list, const sharedsolar::Limits &limits) {
    World world(100, limits);
    all(world.meter, sharedsolar::JOB_DONE);
    job(world.meter, list);
    return all(world.meter, sharedsolar::JOB_DONE);
}

// What a job switched off stays off until con, over credit, midnight and power cuts.
void off_by_job() {
    fresh();
    const sharedsolar::Limits limits = {1000, 10, 0, 120};
    same(after_power(R"(["coff",1,"192.168.1.201",0])", limits), "[1,0,0.00]", "off, no credit");
    same(after_power(R"(["cr",2,"192.168.1.201",5000])", limits), "[2,0,5000.00]", "credit: still off");
    same(after_power(R"(["con",3,"192.168.1.201",0])", limits), "[3,1,5000.00]", "con: on");
    {
        World world(100, limits);
        pass(world.meter, 4500);
        must(all(world.meter, sharedsolar::ALERT).find("emax") != std::string::npos, "too much energy");
        job(world.meter, R"(["coff",4,"192.168.1.201",0])");
        pass(world.meter, 16 * 3600);
        all(world.meter, sharedsolar::JOB_DONE);
        job(world.meter, R"(["cr",5,"192.168.1.201",10])");
        same(all(world.meter, sharedsolar::JOB_DONE).substr(0, 5), "[5,0,", "midnight: still off");
    }
    same(after_power(R"(["con",6,"192.168.1.201",0])", limits).substr(0, 5), "[6,1,", "con: on again");
}

// States of before a job's off was kept: what they say, and that their money is there.
void before_off_by_job() {
    using sharedsolar::EMAX;
    using sharedsolar::NOCW;
    using sharedsolar::ON;
    using sharedsolar::PMAX;
    struct Old {
        int flags;
        bool credit, on_after_credit, on_after_con;
    };
    const Old cases[] = {{0, true, false, true},    {ON, true, true, true},
                         {NOCW, false, true, true}, {PMAX, true, false, true},
                         {EMAX, true, false, false}};
    for (const Old &old : cases) {
        fresh();
        const sharedsolar::Limits limits = {1000, 10, 0, 120};
        {
            World world(0, limits);
            sharedsolar::Store store(world.board);
            sharedsolar::State state;
            must(store.load(state) == Store::GOOD, "there is a state");
            state.circuits[0].flags = static_cast<uint8_t>(old.flags);
            state.circuits[0].credit = old.credit ? 50 * 100 * sharedsolar::CENT : 0;
            store.commit(state);
        }
        const std::string label = "a state of before, flags " + std::to_string(old.flags);
        const std::string credit = old.credit ? "60.00]" : "10.00]";
        same(after_power(R"(["cr",1,"192.168.1.201",10])", limits),
             (old.on_after_credit ? "[1,1," : "[1,0,") + credit, label);
        same(after_power(R"(["con",2,"192.168.1.201",0])", limits),
             (old.on_after_con ? "[2,1," : "[2,0,") + credit, label);
    }
}

void again() {
    fresh();
    World world(0);
    job(world.meter, R"(["coff",1,"192.168.1.201",0])");
    there = false;
    same(next(world.meter, sharedsolar::JOB_DONE), "", "without a bridge it waits");
    there = true;
    std::vector<int> sent;
    for (int second = 0; second < 500; ++second) {
        if (!next(world.meter, sharedsolar::JOB_DONE).empty()) sent.push_back(second);
        pass(world.meter, 1);
    }
    must(sent == std::vector<int>({0, 10, 40, 100, 400}), "sent again with growing pauses");
    const std::string reference = last;
    World later(0);
    same(next(later.meter, sharedsolar::JOB_DONE), "[1,0,0.00]", "not forgotten in a power cut");
    same(last, reference, "with the same reference");
    later.meter.ack("unknown");
    later.meter.ack(last.c_str());
    World third(0);
    same(next(third.meter, sharedsolar::JOB_DONE), "", "an acknowledged one is");
}

void full() {
    fresh();
    World world(0);
    all(world.meter, sharedsolar::ALERT);
    for (int i = 1; i <= 60; ++i)
        job(world.meter, R"(["mping",)" + std::to_string(i) + R"(,"192.168.1.200",0])");
    const std::string confirmed = all(world.meter, sharedsolar::JOB_DONE);
    must(confirmed.find("[60,1,0.00]") != std::string::npos, "the newest is there: " + confirmed);
    for (int i = 1; i <= 50; ++i) {
        job(world.meter, R"(["cr",)" + std::to_string(100 + i) + R"(,"192.168.1.201",1])");
        all(world.meter, sharedsolar::JOB_DONE);
    }
    job(world.meter, R"(["cr",112,"192.168.1.201",1])");
    same(all(world.meter, sharedsolar::JOB_DONE), "[112,1,50.00]", "39 jobs back are remembered");
}

// Jobs, alerts and reports with a cut after each number of writes; the gateway repeats what was not
// confirmed. Whatever byte it cuts, credit is neither lost nor doubled, and no message comes twice.
void cuts(bool tearing) {
    torn = tearing;
    int runs = 0;
    for (long at = 0;; ++at, ++runs) {
        fresh();
        { World world(0, {1000, 100, 0, 0}); all(world.meter, sharedsolar::ALERT); }
        std::string heard;
        writes_left = at;
        bool finished = false;
        try {
            World world(0, {1000, 100, 0, 0});
            for (int number = 1; number <= 3; ++number) {
                job(world.meter, R"(["cr",)" + std::to_string(number) + R"(,"192.168.1.201",10])");
                pass(world.meter, 1);
                std::string each = next(world.meter, sharedsolar::JOB_DONE);
                if (!each.empty()) world.meter.ack(last.c_str());
                each = next(world.meter, sharedsolar::ALERT);
                if (!each.empty()) {
                    heard += each + last + " ";
                    world.meter.ack(last.c_str());
                }
            }
            finished = true;
        } catch (const PowerCut &) {
        }
        writes_left = -1;
        World world(0, {1000, 100, 0, 0});
        const std::string where = "cut at write " + std::to_string(at);
        for (int number = 1; number <= 3; ++number)
            job(world.meter, R"(["cr",)" + std::to_string(number) + R"(,"192.168.1.201",10])");
        pass(world.meter, 1);
        const std::string done = all(world.meter, sharedsolar::JOB_DONE);
        must(done.find("[3,1,30.00]") != std::string::npos, where + ": " + done);
        std::string each;
        while (!(each = next(world.meter, sharedsolar::ALERT)).empty()) {
            // What was heard, and whose acknowledgement was cut, comes with the same reference.
            if (heard.find(last) == std::string::npos) heard += each + last + " ";
            world.meter.ack(last.c_str());
        }
        size_t alerts = 0;
        for (size_t i = heard.find("lcw"); i != std::string::npos; i = heard.find("lcw", i + 1)) ++alerts;
        must(alerts == 1, where + ": one alert for low credit, not " + heard);
        if (finished) break;
    }
    must(runs > 100, "there were cuts, not " + std::to_string(runs));
    std::cout << runs << " power cuts" << std::endl;
}

// Energy of the last ten minutes may be lost, older one not; and without any, nothing is written.
void saving() {
    fresh();
    {
        World world(100);
        job(world.meter, R"(["cr",1,"192.168.1.201",100])");
        pass(world.meter, 1299);
    }
    World world(100);
    job(world.meter, R"(["cping",2,"192.168.1.201",0])");
    job(world.meter, R"(["coff",3,"192.168.1.201",0])");
    const std::string report = next(world.meter, sharedsolar::PRIMARY_LOG);
    must(report.find(",1,33.4,1201,66.64]") != std::string::npos, "20 minutes are kept: " + report);
    pass(world.meter, 1);
    writes_left = 0;
    pass(world.meter, 2000);  // no hour ends, nothing is used
    writes_left = -1;
}

void damage() {
    fresh();
    { World world(0); }
    for (uint8_t place = 0; place < Store::STATES; ++place)
        eeprom[place * sizeof(sharedsolar::State) + 20] ^= 1;
    World world(0);
    must(said.find("the EEPROM is damaged") != std::string::npos, "a damaged state stops the meter");
    said.clear();
    job(world.meter, R"(["cr",1,"192.168.1.201",1])");
    must(said.find("job 1: the meter has not started") != std::string::npos, said);
    same(all(world.meter, sharedsolar::JOB_DONE), "", "it confirms nothing");
}

void pulses() {
    fresh();
    std::memset(pins, 1, sizeof pins);
    const sharedsolar::Line lines[] = {{7, 3, 4, 1600, true}};
    sharedsolar::PulseBoard<1> board(lines);
    board.begin();
    must(pins[3] == 1 && board.number(0) == 7, "an active-low relay is open at first");
    board.switch_to(0, true);
    must(pins[3] == 0, "closed");
    for (int i = 0; i < 3; ++i) {
        for (const uint8_t level : {0, 1}) {
            pins[4] = level;
            for (int ms = 0; ms < 11250; ++ms, ++now_ms) {
                pins[4] = ms < 3 ? static_cast<uint8_t>(ms % 2) : level;  // contacts bounce
                board.poll();
            }
        }
    }
    const sharedsolar::Measured measured = board.measure(0);
    must(measured.energy_mwh == 1875, "three pulses of 0.625 Wh, not " +
                                          std::to_string(measured.energy_mwh));
    must(measured.power_w == 100, "100 W, not " + std::to_string(measured.power_w));
    must(board.measure(0).energy_mwh == 0, "counted once");
}

}  // namespace

// The EEPROM of this test.
uint8_t sharedsolar::Store::get(uint16_t at) { return eeprom[at]; }
void sharedsolar::Store::put(uint16_t at, uint8_t byte) {
    if (eeprom[at] == byte) return;
    if (writes_left == 0) {
        // The cell being written when the power goes holds anything, or what it was to hold.
        eeprom[at] = torn ? static_cast<uint8_t>(byte ^ 0x55) : byte;
        throw PowerCut();
    }
    if (writes_left > 0) --writes_left;
    eeprom[at] = byte;
}

// What the line to the bridge gives.
namespace talk {
Log::Log() {}
Log::~Log() { said += "\n"; }
size_t Log::write(uint8_t byte) {
    said += static_cast<char>(byte);
    return 1;
}
uint32_t now() { return time_at_start + now_ms / 1000; }
void take() {}
bool bridged() { return there; }
}  // namespace talk

int main() {
    credit();
    limits();
    off_by_job();
    before_off_by_job();
    again();
    full();
    cuts(true);
    cuts(false);
    saving();
    damage();
    pulses();
    return 0;
}
