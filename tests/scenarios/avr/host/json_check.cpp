// Values and lists of the Arduino basic file, as an Uno computes them: no number changes on its way.

#include "Arduino.h"
#include "json.h"

uint32_t now_ms = 0;
uint8_t pins[20];

namespace {

int failures = 0;

void same(const std::string &label, const std::string &got, const std::string &wanted) {
    if (got == wanted) return;
    std::cerr << label << ": got " << got << ", wanted " << wanted << std::endl;
    ++failures;
}

struct Fixed {
    const char *label, *text;
    uint8_t decimals;
    const char *wanted;  // "no" where it is refused
};

const Fixed FIXED[] = {
    {"cents", "4.35", 2, "435"},        {"fewer decimals", "4.3", 2, "430"},
    {"whole", "4", 2, "400"},           {"zeros", "4.3500", 2, "435"},
    {"more decimals", "4.351", 2, "no"},{"negative", "-0.05", 2, "-5"},
    {"largest", "21474836.47", 2, "2147483647"}, {"too large", "21474836.48", 2, "no"},
    {"job number", "2147483647", 0, "2147483647"}, {"beyond", "2147483648", 0, "no"},
    {"fraction of a whole", "1.5", 0, "no"}, {"zero fraction", "1.0", 0, "1"},
    {"null", "null", 0, "no"},          {"text", "\"4\"", 0, "no"},
    {"no digit", "-", 0, "no"},         {"point first", ".5", 1, "no"},
    {"two points", "1.2.3", 2, "no"},   {"exponent", "1e5", 0, "no"},
    {"digits", "99999999999999999999", 0, "no"},
};

struct List {
    const char *label, *text, *wanted;  // values by |, or "no"
};

const List LISTS[] = {
    {"empty", "[]", ""},
    {"mixed", "[\"cr\", 12 ,\"192.168.1.201\",4.35]", "cr|12|192.168.1.201|4.35|"},
    {"escapes", "[\"a\\\"b\\\\c\"]", "a\"b\\c|"},
    {"empty text", "[\"\",1]", "|1|"},
    {"comma in text", "[\"a,b]\"]", "a,b]|"},
    {"no list", "5", "no"},
    {"open", "[1", "no"},
    {"open text", "[\"a]", "no"},
    {"rest", "[1] x", "no"},
    {"no value", "[1,]", "no"},
    {"list in it", "[[1]]", "no"},
    {"other escape", "[\"\\n\"]", "no"},
    {"too many", "[1,2,3,4,5,6,7,8,9,10,11,12,13]", "no"},
    {"most", "[1,2,3,4,5,6,7,8,9,10,11,12]", "1|2|3|4|5|6|7|8|9|10|11|12|"},
};

std::string listed(const std::string &given) {
    std::string text = given;
    const talk::Data data(&text[0]);
    if (!data.valid()) return "no";
    std::string found;
    for (uint8_t i = 0; i < data.size(); ++i) {
        const std::string each = data.text(i);
        char number[32];
        std::snprintf(number, sizeof number, "%g", data.number(i));
        const bool is_text = !each.empty() || data.number(i) == 0;
        found += (is_text ? each : number) + std::string("|");
    }
    return found;
}

}  // namespace

int main() {
    for (const Fixed &each : FIXED) {
        std::string text = std::string("[") + each.text + "]";
        const talk::Data data(&text[0]);
        int32_t value = 0;
        const bool good = data.valid() && data.fixed(0, each.decimals, value);
        same(each.label, good ? std::to_string(value) : "no", each.wanted);
    }
    for (const List &each : LISTS) same(each.label, listed(each.text), each.wanted);

    char buffer[64];
    talk::Values values(buffer, sizeof buffer);
    same("nothing", values.empty() ? "nothing" : "something", "nothing");
    values.add_fixed(435, 2);
    values.add_fixed(-5, 2);
    values.add_fixed(-2147483647 - 1, 0);
    values.add_fixed(7, 0);
    values.add(23.456);
    values.add(-0.999, 1);
    same("numbers", values.finish(), "[4.35,-0.05,-2147483648,7,23.46,-1.0]");
    values.clear();
    values.add(1e9, 2);
    values.add(1e30, 2);
    values.add(0.0 / 0.0, 2);
    values.add("a\"b\\\n");
    values.add(F("flash"));
    values.add_null();
    same("others", values.finish(), "[1000000000,null,null,\"a\\\"b\\\\ \",\"flash\",null]");
    values.clear();
    for (int i = 0; i < 40; ++i) values.add(123);
    same("overfull", values.overfull() ? "yes" : "no", "yes");
    same("within its buffer", std::to_string(std::strlen(values.finish()) < sizeof buffer), "1");

    std::string flags = "[true,false,null]";
    const talk::Data data(&flags[0]);
    same("true", std::to_string(data.number(0) + data.number(1) + data.number(2)), "1.000000");
    same("beyond the list", data.text(9) + std::to_string(data.integer(9)), "0");
    return failures;
}
