// The SharedSolar meter library in C++: credit, limits, jobs, and restarts. argv[1] is a folder.

#include <cstdlib>
#include <iostream>

#include "sharedsolar/meter.hpp"

using nlohmann::json;
using sharedsolar::Meter;
using sharedsolar::Micro;

namespace {

const std::string ONE = "192.168.1.201";
double now_s = 1'700'000'000;

void must(bool good, const std::string &what) {
    if (good) return;
    std::cerr << "not so: " << what << std::endl;
    std::exit(1);
}

json said(Meter &meter, const std::string &df_name) {
    json messages = json::array();
    for (json message; !(message = meter.next(df_name)).is_null();) {
        meter.ack(message.back());
        message.erase(message.size() - 1);
        messages.push_back(message);
    }
    return messages;
}

// A PCU's hourly reports, what it does not measure, its failure, and reports that come more often.
void sun(const std::string &path) {
    struct Board : sharedsolar::SimulatedBoard {
        using SimulatedBoard::SimulatedBoard;
        std::optional<sharedsolar::Pcu> pcu() override {
            if (fails) throw std::runtime_error("silent");
            auto values = SimulatedBoard::pcu();
            if (values) values->back().reset();
            return values;
        }
        bool fails = false;
    };
    now_s = 1'700'049'600;  // noon, UTC
    Board board({ONE}, [] { return now_s; }, 500);
    Meter meter(board, {1000, 10, 0, 0, 600}, path, [] { return now_s; });
    meter.tick();
    now_s += 300;
    meter.tick();
    must(said(meter, "PcuLog-I").empty(), "not due yet");
    now_s += 300;
    meter.tick();
    const json reports = said(meter, "PcuLog-I");
    must(reports.size() == 1 && reports.at(0).size() == 10, "a time and nine values");
    const json &values = reports.at(0);
    must(values.at(0).get<std::string>().size() == 14, "its time is the meter's");
    must(values.at(1) > 10'000 && values.at(1) < 100'000, "kWh since 1970, of 500 W");
    must(values.at(4) > 51.9 && values.at(4) <= 52, "the battery is full at noon");
    must(values.at(9).is_null(), "what it does not measure is null");
    board.fails = true;
    meter.job("mping", 1, sharedsolar::MAINS, 0);
    must(said(meter, "PcuLog-I").empty(), "a silent one has no report");
    must(!said(meter, "PrimaryLog-I").empty(), "and stops no other report");
}

// What a job switched off stays off until con, over credit, midnight and power cuts; also in a state
// of before that was written down.
void off_by_job(const std::string &path) {
    now_s = 1'700'000'000;
    const auto now = [] { return now_s; };
    sharedsolar::SimulatedBoard board({ONE}, now);
    board.loads_w[ONE] = 100;
    const sharedsolar::Limits limits{1000, 10, 0, 120};
    int number = 0;
    const auto does = [&](const std::string &kind, double amount) {
        Meter meter(board, limits, path, now);
        meter.job(kind, ++number, ONE, amount);
        return meter.circuit(ONE).is_on;
    };
    const auto waits = [&](double seconds) {
        Meter meter(board, limits, path, now);
        now_s += seconds;
        board.measure(ONE);  // what was used while it had no power is not its
        now_s += 1;
        meter.tick();
        return meter.circuit(ONE).is_on;
    };
    must(!does("coff", 0), "off, without credit");
    must(!does("cr", 10'000), "the first credit does not switch it on");
    must(does("con", 0), "con does");
    {
        Meter meter(board, limits, path, now);
        now_s += 4500;
        meter.tick();
        must(!meter.circuit(ONE).is_on, "too much energy");
    }
    must(!does("coff", 0), "off by a job too");
    must(!waits(86'400), "midnight does not switch it on");
    must(!does("cr", 10), "credit does not");
    must(does("con", 0), "con does again");

    json state = json::parse(std::ifstream(path));
    state["circuits"][ONE].erase("off_by_job");
    state["circuits"][ONE]["credit_micro"] = 50'000'000;
    struct Old {
        bool is_on;
        std::vector<std::string> told;
        Micro credit;
        bool after_credit, after_con;
    };
    const Old cases[] = {{false, {}, 50'000'000, false, true},
                         {true, {}, 50'000'000, true, true},
                         {false, {"nocw"}, 0, true, true},
                         {false, {"pmax"}, 50'000'000, false, true},
                         {false, {"emax"}, 50'000'000, false, false}};
    for (const auto &old : cases) {
        json &circuit = state["circuits"][ONE];
        circuit["is_on"] = old.is_on;
        circuit["told"] = old.told;
        circuit["credit_micro"] = old.credit;
        std::ofstream(path) << state.dump();
        const std::string label = "a state of before: " + circuit.dump();
        must(does("cr", 10) == old.after_credit, label + ", credit");
        must(does("con", 0) == old.after_con, label + ", con");
        must(Meter(board, limits, path, now).circuit(ONE).credit == old.credit + 10'000'000,
             label + ", money");
    }
}

}  // namespace

int main(int, char **arguments) {
    const std::string path = std::string(arguments[1]) + "/state.json";
    const auto now = [] { return now_s; };
    sharedsolar::SimulatedBoard board({ONE}, now);
    board.loads_w[ONE] = 100;
    const sharedsolar::Limits limits{1000, 10, 0, 0};
    {
        Meter meter(board, limits, path, now);
        for (int i = 0; i < 3; ++i) meter.job("cr", 1, ONE, 4.35);
        must(said(meter, "JobDone-I") == json::parse("[[1, 1, 4.35]]"), "one job, one confirmation");
        for (const auto &[kind, cid, amount] :
             std::vector<std::tuple<std::string, std::string, double>>{
                 {"sell", ONE, 1}, {"con", "x", 0}, {"cr", ONE, -1}, {"cr", ONE, NAN},
                 {"cr", sharedsolar::MAINS, 1}}) {
            bool refused = false;
            try {
                meter.job(kind, 99, cid, amount);
            } catch (const std::invalid_argument &) {
                refused = true;
            }
            must(refused, "refused: " + kind + " " + cid);
        }
        must(meter.circuit(ONE).credit == 4'350'000, "bad jobs change nothing");
        meter.job("coff", 2, ONE, 0);
        must(!meter.circuit(ONE).is_on, "off");
        std::vector<int> sent;
        for (int second = 0; second < 500; ++second, ++now_s)
            if (!meter.next("JobDone-I").is_null()) sent.push_back(second);
        must(sent == std::vector<int>({0, 10, 40, 100, 400}), "sent again with growing pauses");
    }
    Meter meter(board, limits, path, now);  // as after a power cut
    const json again = meter.next("JobDone-I");
    must(again.at(0) == 2, "what is not acknowledged is not forgotten");
    meter.ack(again.back());
    meter.job("cr", 1, ONE, 4.35);
    must(meter.circuit(ONE).credit == 4'350'000, "a job is done once, over a restart too");
    meter.job("cr", 3, ONE, 45.65);
    meter.job("con", 4, ONE, 0);
    said(meter, "JobDone-I");
    meter.tick();
    now_s += 900;
    meter.tick();
    must(meter.circuit(ONE).credit == 25'000'000, "100 W for a quarter of an hour cost 25");
    now_s += 2000;
    meter.tick();
    must(!meter.circuit(ONE).is_on, "cut off");
    must(said(meter, "Alert-I") == json::array({json::array({ONE, "nocw"})}), "told once");
    now_s += 3600;
    meter.tick();
    const json reports = said(meter, "PrimaryLog-I");
    must(!reports.empty() && reports.back().at(0) == ONE && reports.back().size() == 6, "reports");
    must(said(meter, "PcuLog-I").empty(), "without a power conditioning unit it reports none");
    sun(std::string(arguments[1]) + "/sun.json");
    off_by_job(std::string(arguments[1]) + "/off.json");
    return 0;
}
