// The SharedSolar meter library in C++: credit, limits, jobs, and restarts. argv[1] is a folder.

#include <cstdlib>
#include <iostream>

#include "sharedsolar/meter.hpp"

using nlohmann::json;
using sharedsolar::Meter;

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
    return 0;
}
