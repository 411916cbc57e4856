#include "iottalk.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include <curl/curl.h>
#include <mosquitto.h>

namespace iottalk {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int KEEP_ALIVE_S = 60;
constexpr int EXACTLY_ONCE = 2;
constexpr seconds FIRST_PAUSE{1};
constexpr seconds LONGEST_PAUSE{30};
// So long without the broker, the device registers anew: its user or topics may have changed.
constexpr seconds OFFLINE_LIMIT{60};
constexpr long HTTP_TIMEOUT_S = 15;
constexpr size_t LONGEST_ANSWER = 1 << 20;

std::atomic<bool> stopping{false};

void on_signal(int) { stopping = true; }

void say(const std::string &text) { std::cout << text << std::endl; }

std::string setting(const char *variable, const std::string &otherwise) {
    const char *value = std::getenv(variable);
    return value && *value ? value : otherwise;
}

std::string new_address() {
    std::ifstream source("/proc/sys/kernel/random/uuid");
    std::string uuid;
    if (!std::getline(source, uuid)) throw std::runtime_error("the kernel gave no random UUID");
    return uuid;
}

// Sleep in small steps, so that a signal ends it at once.
void pause(seconds time) {
    const auto end = Clock::now() + time;
    while (!stopping && Clock::now() < end) std::this_thread::sleep_for(milliseconds(50));
}

size_t collect(char *data, size_t size, size_t count, void *target) {
    auto &text = *static_cast<std::string *>(target);
    if (text.size() + size * count > LONGEST_ANSWER) return 0;
    text.append(data, size * count);
    return size * count;
}

// One HTTP request with a JSON body. Throws runtime_error with the server's reason for a status
// other than 200, or with what went wrong on the way.
json http(const std::string &method, const std::string &url, const json &body) {
    const std::unique_ptr<CURL, void (*)(CURL *)> handle(curl_easy_init(), curl_easy_cleanup);
    if (!handle) throw std::runtime_error("libcurl does not start");
    const std::unique_ptr<curl_slist, void (*)(curl_slist *)> headers(
        curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
    const std::string sent = body.dump();
    std::string answer;
    curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, sent.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(sent.size()));
    curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, HTTP_TIMEOUT_S);
    curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
    const CURLcode code = curl_easy_perform(handle.get());
    if (code != CURLE_OK) throw std::runtime_error(curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    const json parsed = json::parse(answer, nullptr, false);
    if (status != 200) {
        const bool told = parsed.is_object() && parsed.contains("reason");
        throw std::runtime_error("HTTP " + std::to_string(status) +
                                 (told ? ": " + parsed["reason"].dump() : ""));
    }
    if (!parsed.is_object()) throw std::runtime_error("the answer is not JSON");
    return parsed;
}

struct Message {
    std::string topic;
    std::string text;
};

// One registration: an MQTT connection, until the device ends or the broker is away for too long.
class Session {
  public:
    Session(const Settings &settings, const std::vector<Input> &inputs,
            const std::vector<Output> &outputs, const json &answer)
        : settings_(settings), inputs_(inputs), outputs_(outputs) {
        control_in_ = answer.at("ctrl_chans").at(0);
        control_out_ = answer.at("ctrl_chans").at(1);
        revision_ = answer.at("rev");
        const std::string host = answer.at("url").at("host");
        const int port = answer.at("url").at("port");
        const bool has_tls = answer.at("url").value("scheme", "mqtt") == "mqtts";
        client_ = mosquitto_new(nullptr, true, this);
        if (!client_) throw std::runtime_error("libmosquitto does not start");
        try {
            const std::string user = answer.value("username", "");
            if (!user.empty()) {
                const std::string password = answer.value("password", "");
                check(mosquitto_username_pw_set(client_, user.c_str(), password.c_str()));
            }
            // The system's certificates; SSL_CERT_FILE names others.
            if (has_tls) check(mosquitto_int_option(client_, MOSQ_OPT_TLS_USE_OS_CERTS, 1));
            const std::string will = state("offline");
            check(mosquitto_will_set(client_, control_in_.c_str(), static_cast<int>(will.size()),
                                     will.data(), EXACTLY_ONCE, true));
            mosquitto_reconnect_delay_set(client_, 1, LONGEST_PAUSE.count(), true);
            mosquitto_connect_callback_set(client_, on_connect);
            mosquitto_disconnect_callback_set(client_, on_disconnect);
            mosquitto_message_callback_set(client_, on_message);
            mosquitto_publish_callback_set(client_, on_publish);
            check(mosquitto_connect(client_, host.c_str(), port, KEEP_ALIVE_S));
            check(mosquitto_loop_start(client_));
        } catch (...) {
            mosquitto_destroy(client_);
            throw;
        }
    }

    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    ~Session() {
        mosquitto_disconnect(client_);
        mosquitto_loop_stop(client_, true);
        mosquitto_destroy(client_);
    }

    const json &revision() const { return revision_; }

    // Serve the features. Returns when the device ends, or must register again.
    void serve() {
        const auto interval = std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(settings_.push_interval_s));
        auto next_push = Clock::now();
        auto last_online = Clock::now();
        while (!stopping && Clock::now() - last_online < OFFLINE_LIMIT) {
            for (const Message &message : received(next_push)) handle(message);
            if (online_) last_online = Clock::now();
            if (Clock::now() >= next_push) {
                push_all();
                // A function slower than the interval must not be called twice in a row.
                next_push = std::max(next_push + interval, Clock::now());
            }
        }
        if (stopping) leave();
    }

  private:
    static void check(int code) {
        if (code != MOSQ_ERR_SUCCESS) throw std::runtime_error(mosquitto_strerror(code));
    }

    std::string state(const char *name) const {
        return json{{"state", name}, {"rev", revision_}}.dump();
    }

    int publish(const std::string &topic, const std::string &text, int qos, bool retain) {
        int id = 0;
        const int code = mosquitto_publish(client_, &id, topic.c_str(),
                                           static_cast<int>(text.size()), text.data(), qos, retain);
        if (code != MOSQ_ERR_SUCCESS) say("MQTT: " + std::string(mosquitto_strerror(code)));
        return id;
    }

    // The callbacks run in libmosquitto's thread: they only hand over what came.
    static void on_connect(mosquitto *, void *self, int code) {
        auto &session = *static_cast<Session *>(self);
        if (code != 0) {
            say("MQTT: " + std::string(mosquitto_connack_string(code)));
            return;
        }
        const std::lock_guard<std::mutex> lock(session.mutex_);
        session.connected_anew_ = true;
        session.online_ = true;
        session.changed_.notify_one();
    }

    static void on_disconnect(mosquitto *, void *self, int) {
        static_cast<Session *>(self)->online_ = false;
    }

    static void on_message(mosquitto *, void *self, const mosquitto_message *message) {
        auto &session = *static_cast<Session *>(self);
        const auto *text = static_cast<const char *>(message->payload);
        const std::lock_guard<std::mutex> lock(session.mutex_);
        session.inbox_.push_back(
            {message->topic, std::string(text ? text : "", static_cast<size_t>(message->payloadlen))});
        session.changed_.notify_one();
    }

    static void on_publish(mosquitto *, void *self, int id) {
        auto &session = *static_cast<Session *>(self);
        const std::lock_guard<std::mutex> lock(session.mutex_);
        session.last_published_ = id;
        session.changed_.notify_one();
    }

    // What has come, waiting for it until then; announces the device after each connection.
    std::deque<Message> received(Clock::time_point until) {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto end = std::min(until, Clock::now() + milliseconds(200));
        changed_.wait_until(lock, end, [this] { return connected_anew_ || !inbox_.empty(); });
        std::deque<Message> messages;
        messages.swap(inbox_);
        const bool announce = std::exchange(connected_anew_, false);
        lock.unlock();
        if (announce) {
            say("connected");
            mosquitto_subscribe(client_, nullptr, control_out_.c_str(), EXACTLY_ONCE);
            // After a lost connection the server must hear both, in this order.
            if (was_online_) publish(control_in_, state("offline"), EXACTLY_ONCE, true);
            for (const auto &[topic, output] : output_topics_)
                mosquitto_subscribe(client_, nullptr, topic.c_str(), 0);
            publish(control_in_, state("online"), EXACTLY_ONCE, true);
            was_online_ = true;
        }
        return messages;
    }

    void handle(const Message &message) {
        const json data = json::parse(message.text, nullptr, false);
        if (data.is_discarded()) {
            say("not JSON on " + message.topic);
        } else if (message.topic == control_out_) {
            command(data);
        } else if (const auto found = output_topics_.find(message.topic);
                   found != output_topics_.end()) {
            try {
                found->second->function(data.is_array() ? data : json::array({data}));
            } catch (const std::exception &error) {
                say(found->second->name + ": " + error.what());
            }
        }
    }

    void command(const json &data) {
        if (!data.is_object() || !data.contains("msg_id")) {
            say("a command without msg_id");
            return;
        }
        json answer = {{"msg_id", data["msg_id"]}, {"state", "ok"}};
        try {
            const std::string reason = obey(data);
            if (!reason.empty()) answer.update({{"state", "error"}, {"reason", reason}});
        } catch (const json::exception &error) {
            answer.update({{"state", "error"}, {"reason", error.what()}});
        }
        publish(control_in_, answer.dump(), EXACTLY_ONCE, false);
    }

    // Carry a command out; the reason why not, or nothing.
    std::string obey(const json &data) {
        const std::string name = data.at("command");
        const bool is_input = data.contains("idf");
        const std::string feature = data.at(is_input ? "idf" : "odf");
        if (name != "CONNECT" && name != "DISCONNECT") return "unknown command " + name;
        const std::string topic = name == "CONNECT" ? data.at("topic").get<std::string>() : "";
        if (is_input) {
            const auto named = [&](const Input &input) { return input.name == feature; };
            if (std::none_of(inputs_.begin(), inputs_.end(), named)) return "no IDF " + feature;
            input_topics_[feature] = topic;
        } else {
            const auto named = [&](const Output &output) { return output.name == feature; };
            const auto output = std::find_if(outputs_.begin(), outputs_.end(), named);
            if (output == outputs_.end()) return "no ODF " + feature;
            drop(*output);
            if (!topic.empty()) {
                output_topics_[topic] = &*output;
                mosquitto_subscribe(client_, nullptr, topic.c_str(), 0);
            }
        }
        say(name + " " + feature);
        return "";
    }

    void drop(const Output &output) {
        for (auto it = output_topics_.begin(); it != output_topics_.end();) {
            if (it->second == &output) {
                mosquitto_unsubscribe(client_, nullptr, it->first.c_str());
                it = output_topics_.erase(it);
            } else {
                ++it;
            }
        }
    }

    void push_all() {
        if (!online_) return;
        for (const Input &input : inputs_) {
            const auto topic = input_topics_.find(input.name);
            if (topic == input_topics_.end() || topic->second.empty()) continue;
            try {
                const json values = input.function();
                if (values.is_null()) continue;
                publish(topic->second, (values.is_array() ? values : json::array({values})).dump(), 0,
                        false);
            } catch (const std::exception &error) {
                say(input.name + ": " + error.what());
            }
        }
    }

    // Say goodbye, and wait a little for the broker to have heard it.
    void leave() {
        if (!online_) return;
        const int id = publish(control_in_, state("offline"), EXACTLY_ONCE, true);
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait_for(lock, seconds(3), [&] { return last_published_ == id; });
    }

    const Settings &settings_;
    const std::vector<Input> &inputs_;
    const std::vector<Output> &outputs_;
    std::string control_in_;
    std::string control_out_;
    json revision_;
    mosquitto *client_ = nullptr;
    std::map<std::string, std::string> input_topics_;
    std::map<std::string, const Output *> output_topics_;
    bool was_online_ = false;
    std::atomic<bool> online_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Message> inbox_;       // guarded by mutex_, as the two below
    bool connected_anew_ = false;
    int last_published_ = 0;
};

template <typename Features> json feature_list(const Features &features) {
    json list = json::array();
    for (const auto &feature : features) list.push_back(json::array({feature.name, feature.params}));
    return list;
}

}  // namespace

int run(const Settings &given, const std::vector<Input> &inputs,
        const std::vector<Output> &outputs) {
    Settings settings = given;
    settings.server_url = setting("IOTTALK_URL", settings.server_url);
    settings.device_address = setting("IOTTALK_DEVICE_ADDRESS", settings.device_address);
    if (settings.server_url.empty()) {
        std::cerr << "No server is set: set it in the workshop, or give IOTTALK_URL." << std::endl;
        return 2;
    }
    // A device with an address of its own stays registered while it is off.
    const bool lasting = !settings.device_address.empty();
    if (!lasting) settings.device_address = new_address();
    while (settings.server_url.size() > 1 && settings.server_url.back() == '/') settings.server_url.pop_back();
    const std::string url = settings.server_url + "/" + settings.device_address;
    json registration = {
        {"idf_list", feature_list(inputs)},
        {"odf_list", feature_list(outputs)},
        {"accept_protos", {"mqtt"}},
        {"profile", {{"model", settings.device_model}, {"version", settings.version}}}};
    if (!settings.device_name.empty()) registration["name"] = settings.device_name;
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    mosquitto_lib_init();
    seconds next_pause = FIRST_PAUSE;
    while (!stopping) {
        try {
            const json answer = http("PUT", url, registration);
            say("registered as " + answer.value("name", settings.device_name));
            json revision;
            {
                Session session(settings, inputs, outputs, answer);
                next_pause = FIRST_PAUSE;
                session.serve();
                revision = session.revision();
            }
            if (stopping && !lasting) http("DELETE", url, {{"rev", revision}});
        } catch (const std::exception &error) {
            if (stopping) break;
            say("Waiting " + std::to_string(next_pause.count()) + " s for the server " +
                settings.server_url + ": " + error.what());
            pause(next_pause);
            next_pause = std::min(next_pause * 2, LONGEST_PAUSE);
        }
    }
    mosquitto_lib_cleanup();
    curl_global_cleanup();
    return 0;
}

}  // namespace iottalk
